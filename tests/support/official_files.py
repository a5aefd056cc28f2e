"""A small valid file in every layout of every official source, with rows invented here."""

from __future__ import annotations

from collections.abc import Mapping

from forecast.sources.official.atop import CONDITIONS, PROVISIONS

#: Texts of files by role; the first role is that which a test damages.
type Files = Mapping[str, str]

_DETAILS = [*(name for group in CONDITIONS.values() for name in group), *PROVISIONS]
_NONE = "0," * (len(_DETAILS) - 1) + "0"
_TAIL = f"{','.join(_DETAILS)},version"

_ATOP_MEMBERS = f"""\
atopid,member,yrent,moent,dayent,yrexit,moexit,dayexit,phase,bilat,wartime,\
defense,offense,neutral,nonagg,consul,{_TAIL}
3220,2,1951,9,8,1960,1,19,1,1,0,1,0,0,0,1,{_NONE},5.1
3220,740,1951,9,8,1960,1,19,1,1,0,0,0,0,0,1,{_NONE},5.1
3220,2,1960,1,19,0,0,0,2,1,0,1,0,0,1,1,{_NONE},5.1
3220,740,1960,1,19,0,0,0,2,1,0,1,0,0,1,1,{_NONE},5.1
3015,651,1945,3,22,1979,3,31,0,0,0,0,0,0,1,1,{_NONE},5.1
3015,660,1945,3,22,0,0,0,0,0,0,0,0,0,1,1,{_NONE},5.1
"""
_ATOP_ALLIANCES = f"""\
atopid,begyr,begmo,begday,endyr,endmo,endday,bilat,wartime,\
defense,offense,neutral,nonagg,consul,{_TAIL}
3220,1951,9,8,0,0,0,1,0,1,0,0,1,1,{_NONE},5.1
3015,1945,3,22,0,0,0,0,0,0,0,0,1,1,{_NONE},5.1
"""
_COW_MEMBERS = """\
version4id,ccode,state_name,all_st_day,all_st_month,all_st_year,all_end_day,all_end_month,\
all_end_year,mem_st_day,mem_st_month,mem_st_year,mem_end_day,mem_end_month,mem_end_year,\
right_censor,defense,neutrality,nonaggression,entente,version
11,211,Belgium,10,11,1832,21,5,1833,10,11,1832,21,5,1833,0,0,0,0,0,4.1
11,220,France,10,11,1832,21,5,1833,10,11,1832,21,5,1833,0,1,0,0,0,4.1
1,200,"United Kingdom",9,5,1386,,,,1,1,1816,,,,1,1,0,1,0,4.1
1,235,Portugal,9,5,1386,,,,1,1,1816,,,,1,1,0,1,,4.1
"""
_COW_DYADS = """\
version4id,ccode1,ccode2,dyad_st_day,dyad_st_month,dyad_st_year,dyad_end_day,dyad_end_month,\
dyad_end_year,right_censor,defense,neutrality,nonaggression,entente{more},version
11,211,220,10,11,1832,21,5,1833,0,1,0,0,0{one},4.1
1,200,235,1,1,1816,,,,1,1,0,1,0{two},4.1
"""
_MIDA = """\
dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,hostlev,recip,version
9,1,2,1940,30,6,1941,1,2,6,5,1,5
10,-9,2,1945,-9,3,1946,6,3,-9,4,0,5
"""
_MIDB = """\
dispnum,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,fatality,fatalpre,hostlev,orig,version
9,255,1,2,1940,30,6,1941,1,3,150,5,1,5
9,385,1,2,1940,9,6,1940,0,1,2,4,1,5
9,325,10,6,1940,30,6,1941,1,-9,-9,4,0,5
10,2,-9,2,1945,-9,3,1946,1,0,0,4,1,5
10,20,-9,2,1945,-9,3,1946,0,0,0,4,1,5
"""
_DYAD_YEARS = """\
dispnum,ccode1,ccode2,year,sidea1,sidea2,orig1,orig2,hostlev,fatality,{onset},outcome,settle,\
stmon,endmon,version
5,2,20,1950,1,0,1,1,4,0,1,1,2,3,9,x-2.1
5,20,2,1950,0,1,1,1,4,0,1,1,2,3,9,x-2.1
5,2,20,1951,1,0,1,1,4,0,0,1,2,3,9,x-2.1
5,20,2,1951,0,1,1,1,4,0,0,1,2,3,9,x-2.1
6,200,220,1950,1,0,1,0,5,6,1,6,3,1,1,x-2.1
6,220,200,1950,0,1,0,1,5,6,1,6,3,1,1,x-2.1
"""
_UCDP = """\
conflict_id,location,year,intensity_level,type_of_conflict,start_date2,start_prec2{ends},gwno_a,\
gwno_a_2nd,gwno_b,gwno_b_2nd,version
420,"Australia, Iraq",2003,2,2,2003-03-20,1{none},900,"2, 200",645,,26.1
420,"Australia, Iraq",2004,1,2,2003-03-20,1{last},900,,645,,26.1
421,Elsewhere,2003,1,3,2003-05-01,2{none},520,,,,26.1
"""

#: Files of each layout, by reader and name of the layout.
OFFICIAL: Mapping[tuple[str, str], Files] = {
    ("cow_states", "states"): {
        "states": """\
stateabb,ccode,statenme,styear,stmonth,stday,endyear,endmonth,endday,version
USA,2,United States of America,1816,1,1,2016,12,31,2016
GMY,255,Germany,1816,1,1,1945,5,8,2016
GMY,255,Germany,1990,10,3,2016,12,31,2016
"""
    },
    ("cow_majors", "majors"): {
        "majors": """\
stateabb,ccode,styear,stmonth,stday,endyear,endmonth,endday,version
USA,2,1898,8,13,2016,12,31,2016
AUH,300,1816,1,1,1918,11,3,2016
"""
    },
    ("cow_contiguity", "contdir"): {
        "contdir": """\
dyad,statelno,statelab,statehno,statehab,conttype,begin,end,notes,version
2020,2,"USA",20,"CAN",1,192001,201612,"",3.2
2031,2,"USA",31,"BHM",4,197307,198001,"inside",3.2
2031,2,"USA",31,"BHM",2,197501,197512,"nearer",3.2
"""
    },
    ("cow_contiguity", "contdird"): {
        "contdird": """\
dyad,state1no,state2no,year,conttype,version
2020,2,20,2010,1,3.2
2020,2,20,2011,1,3.2
2020,20,2,2010,1,3.2
2040,2,40,2011,4,3.2
"""
    },
    ("cow_contiguity", "both directions"): {
        "contdir": """\
ccode1,ccode2,conttype,stdate,enddate
2,20,1,1920-01-01,2016-12-01
20,2,1,1920-01-01,2016-12-01
2,31,4,1973-07-01,1980-01-01
"""
    },
    ("rivalries", "td"): {
        "rivalries": """\
rivalryno,rivalryname,ccode1,ccode2,styear,endyear,type1,type2,type3
1,Austria-France,300,220,1494,1918,spatial,positional,
2,China-India,710,750,1948,2010,spatial,NA,
"""
    },
    ("rivalries", "tss"): {
        "rivalries": """\
tssr_id,rivalry,ccode1,ccode2,start,end,positional,spatial,ideological,interventionary
1,Austria-France,220,300,1494,1918,1,1,,
2,X-Y,2,20,1950,2020,,,,
"""
    },
    ("cow_nmc", "nmc"): {
        "nmc": """\
stateabb,ccode,year,milex,milper,irst,pec,tpop,upop,cinc,version
USA,2,2022,-9,1395,80535,-9,338290,-9,0.13,7
CAN,20,2022,26896,63,0,1,2,3,0.01,7
"""
    },
    ("cow_trade", "national"): {
        "national": """\
ccode,statename,year,imports,exports,version
2,USA,1920,5278.48,8228.02,4
20,Canada,1920,-9,1200,4
"""
    },
    ("cow_trade", "dyadic"): {
        "dyadic": """\
ccode1,ccode2,year,flow1,flow2,version
2,20,1920,611.86,735.48,4
200,2,1920,5,-9,4
"""
    },
    ("distances", "mindist"): {
        "mindist": """\
ccode1,ccode2,year,mindist
2,20,1921,0
40,2,1921,144.5
"""
    },
    ("us_troops", "country_years"): {
        "country_years": """\
countryname,year,ccode,troops_ad,army_ad
Norway,1953,385,208,25
Sweden,1953,380,0,0
Germany,1989,255,0,0
Germany,1989,260,200000,0
"""
    },
    ("polity", "country_years"): {
        "country_years": """\
cyear,ccode,scode,country,year,polity,polity2
21900,2,USA,Invented,1900,10,10
3241850,324,SAR,Invented,1850,-88,-4
3251861,325,ITA,Invented,1861,-66,
"""
    },
    ("vdem", "country_years"): {
        "country_years": """\
country_name,country_id,year,COWcode,v2x_polyarchy
"Sardinia, Piedmont",373,1861,325,0.20
"Italy",82,1861,325,0.25
"Italy",82,1862,325,NA
"Mexico",3,1850,70,0.028
"""
    },
    ("cow_igo", "state_years"): {
        "state_years": """\
ccode,year,state,nato,un,oas
20,1950,canada,1,1,3
2,1950,usa,1,1,1
200,1950,uk,1,-9,-1
"""
    },
    ("cow_igo", "dyad_years"): {
        "dyad_years": """\
ccode1,country1,ccode2,country2,year,dyadid,nato,un,oas
2,usa,20,canada,1950,2020,1,1,0
200,uk,2,usa,1950,2200,1,-9,-1
"""
    },
    ("cow_igo", "counts"): {
        "dyad_years": """\
ccode1,ccode2,year,dyadigos
2,20,1950,31
20,200,1950,28
"""
    },
    ("atop", "members"): {"members": _ATOP_MEMBERS},
    ("atop", "alliances"): {"alliances": _ATOP_ALLIANCES},
    ("atop", "members beside alliances"): {
        "members": _ATOP_MEMBERS,
        "alliances": _ATOP_ALLIANCES,
    },
    ("atop", "alliances beside members"): {
        "alliances": _ATOP_ALLIANCES,
        "members": _ATOP_MEMBERS,
    },
    ("atop", "directed"): {
        "directed_dyad_years": """\
ddyad,year,stateA,stateB,defense,offense,neutral,nonagg,consul
2740,1951,2,740,1,0,0,0,1
740002,1951,740,2,0,0,0,0,1
"""
    },
    ("atop", "alliance table"): {
        "directed_dyad_years": """\
ccode1,ccode2,year,atop_defense,atop_offense,atop_neutral,atop_nonagg,atop_consul
2,740,1951,1,0,0,0,1
740,2,1951,0,0,0,0,1
"""
    },
    ("cow_alliances", "by member"): {"by_member": _COW_MEMBERS},
    ("cow_alliances", "by directed"): {
        "by_directed": _COW_DYADS.format(more="", one="", two=""),
    },
    ("cow_alliances", "by dyad"): {
        "by_dyad": _COW_DYADS.format(more=",asymmetric", one=",1", two=",0"),
        "by_member": _COW_MEMBERS,
    },
    ("cow_alliances", "directed yearly"): {
        "directed_yearly": """\
version4id,ccode1,ccode2,defense,neutrality,nonaggression,entente,year,version
5,211,220,1,0,0,0,1832,4.1
5,220,211,0,0,0,0,1832,4.1
"""
    },
    ("cow_alliances", "dyad yearly"): {
        "dyad_yearly": """\
ccode1,ccode2,year,cow_defense,cow_neutral,cow_nonagg,cow_entente
200,235,1816,1,0,1,0
235,200,1816,1,0,1,
"""
    },
    ("cow_mid", "mida"): {"mida": _MIDA, "midb": _MIDB},
    ("cow_mid", "midb"): {"midb": _MIDB, "mida": _MIDA},
    ("cow_mid", "dyadic"): {
        "dyadic": """\
disno,statea,stateb,strtday,strtmnth,strtyr,endday,endmnth,endyear,outcome,settlmnt,fatlev,hihost,\
rolea,roleb,dyad_rolea,year
9,2,20,1,2,1940,30,6,1941,0,0,0,4,1,3,1,1940
9,20,2,1,2,1940,30,6,1941,0,0,0,4,3,1,3,1940
9,2,20,1,2,1940,30,6,1941,5,2,0,4,1,3,1,1941
9,20,2,1,2,1940,30,6,1941,5,2,0,4,3,1,3,1941
"""
    },
    ("cow_mid", "dyad-years"): {"dyadic": _DYAD_YEARS.format(onset="cowmidonset")},
    ("gml", "directed"): {"directed_dyad_disputes": _DYAD_YEARS.format(onset="midonset")},
    ("gml", "directed with days"): {
        "directed_dyad_disputes": _DYAD_YEARS.format(onset="midonset"),
        "midb": _MIDB.replace("\n10,", "\n5,").replace("1945", "1950"),
    },
    ("gml", "days of directed"): {
        "midb": _MIDB.replace("\n10,", "\n5,").replace("1945", "1950"),
        "directed_dyad_disputes": _DYAD_YEARS.format(onset="midonset"),
    },
    ("gml", "reduced"): {"directed_dyad_disputes": _DYAD_YEARS.format(onset="gmlmidonset")},
    ("gml", "mida"): {"mida": _MIDA.replace("dispnum", "dispnum3"), "midb": _MIDB},
    ("cow_wars", "wars"): {
        "wars": """\
WarNum,WarName,ccode,Side,StartMonth1,StartDay1,StartYear1,EndMonth1,EndDay1,EndYear1,StartMonth2,\
StartDay2,StartYear2,EndMonth2,EndDay2,EndYear2,Initiator,Outcome,BatDeath
147,First Kashmir,750,1,10,26,1947,1,1,1948,3,-9,1948,1,1,1949,2,2,-9
147,First Kashmir,770,2,10,26,1947,1,1,1949,-8,-8,-8,-8,-8,-8,1,1,1000
147,First Kashmir,700,2,1,2,1948,2,1,1948,-8,-8,-8,-8,-8,-8,2,3,20
"""
    },
    ("cow_wars", "dyadic"): {
        "dyadic": """\
warnum,statea,stateb,warstrtmnth,warstrtday,warstrtyr,warendmnth,warenday,warendyr,year,warolea,\
waroleb,outcomea,batdths
106,2,300,24,10,1918,3,11,1918,1918,4,2,1,3000
106,300,2,24,10,1918,3,11,1918,1918,2,4,3,3000
106,325,355,8,11,1916,9,29,1917,1916,1,3,1,-9
106,355,325,8,11,1916,9,29,1917,1916,3,1,3,-9
"""
    },
    ("cow_wars", "table"): {
        "dyadic": """\
warnum,ccode1,ccode2,year,cowinteronset,sidea1,initiator1,initiator2,outcome1,outcome2
1,2,20,1816,1,1,1,0,3,3
1,20,2,1816,1,0,0,1,3,3
1,2,20,1817,0,1,1,0,3,3
1,20,2,1817,0,0,0,1,3,3
"""
    },
    ("ucdp", "conflicts"): {
        "conflicts": _UCDP.format(ends=",ep_end,ep_end_date", none=",0,", last=",1,2004-04-01")
    },
    ("ucdp", "dyads"): {"dyads": _UCDP.format(ends="", none="", last="")},
}
