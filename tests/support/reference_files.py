"""Which files of the reference folder stand for which source of the catalogue."""

from __future__ import annotations

#: Files of the reference folder for each source of the catalogue. Of ATOP 5.1 only the dyad-years,
#: which name no member: the treaties whose facts the tests know are those of 4.01.
REFERENCE_FILES: dict[str, tuple[str, ...]] = {
    "cow_states_2024": ("official/cow_states/statelist2024.csv",),
    "cow_states_2016": ("official/cow_states/states2016.csv",),
    "cow_majors_2016": ("processed/cow_majors.csv.gz",),
    "cow_contiguity_3_2": ("official/cow_contiguity/DirectContiguity320.zip",),
    "cow_nmc_7_0": ("processed/cow_nmc.csv.gz",),
    "cow_nmc_6_0": ("official/cow_nmc/NMC-60-abridged.csv",),
    "cow_nmc_5_0": ("official/cow_nmc/NMC_5_0.csv",),
    "atop_5_1": ("processed/atop_alliance.csv.gz",),
    "atop_5_0": ("official/atop/atop5_0a.csv",),
    "atop_4_01": ("official/atop/atop4_01a.csv", "official/atop/atop4_01m.csv"),
    "cow_alliances_4_1": ("official/cow_alliances",),
    "gml_2_2_1": ("processed/gml_dirdisp.csv.gz",),
    "gml_2_1_1": ("official/gml_mid/gml-ddy-disputes-2.1.1.csv",),
    "gml_2_0": ("official/gml_mid/gml-mida-2.0.csv", "official/gml_mid/gml-midb-2.0.csv"),
    "cow_mid_5_0": ("official/cow_mid/MIDA 5.0.csv", "official/cow_mid/MIDB 5.0.csv"),
    "cow_dyadic_mid_4_02": ("official/cow_mid/dyadic_mid_4.02.csv",),
    "cow_wars_4_0": ("official/cow_wars",),
    "ucdp_acd_25_1": ("processed/ucdp_acd.csv.gz",),
    "ucdp_acd_22_1": ("processed/ucdp_prio_acd_22_1.csv.gz",),
    "ucdp_dyadic_24_1": ("official/ucdp/Dyadic_v24_1.csv",),
    "cow_igo_3": ("processed/cow_igo_ndy.csv.gz",),
    "cow_trade_4_0": ("processed/cow_trade_sy.csv.gz",),
    "us_troops_2024": ("official/troops/troopdata-rebuild-country-year.csv",),
    "vdem_16": ("processed/democracy.csv.gz",),
    "min_distance": ("processed/cow_mindist.csv.gz",),
    "rivalries_td": ("processed/td_rivalries.csv.gz",),
    "rivalries_tss": ("processed/tss_rivalries.csv.gz",),
}
