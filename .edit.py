from pathlib import Path
def sub(p, *pairs, n=1):
    t=Path(p).read_text()
    for a,b in pairs:
        assert t.count(a)==n,(p,a,t.count(a))
        t=t.replace(a,b)
    Path(p).write_text(t)
sub('forecast/sources/copies.py',('''    if path.suffix.lower() == ".xls" and head.startswith(_WORKBOOK):
        return
''',''),('''#: First bytes of an old Excel workbook, the one binary format that readers take.
_WORKBOOK = b"\\xd0\\xcf\\x11\\xe0"
''',''),('''    if head.startswith(b"PK\\x03\\x04") or (b"\\0" in head and not head.startswith(b"\\x1f\\x8b")):
''','''    # Readers take packed text and old Excel workbooks; what is no workbook they refuse themselves.
    binary = b"\\0" in head and not head.startswith(b"\\x1f\\x8b") and path.suffix.lower() != ".xls"
    if head.startswith(b"PK\\x03\\x04") or binary:
'''))
sub('forecast/sources/official/vdem.py',('''            shown = "COWcode" if column == "ccode" else column
''','''            shown = "COWcode" if column == "ccode" else column
            if column == _INDEX and {"polity", "polity2"} & set(names):
                hint = (
                    " These are columns of Polity, a source of its own: `forecast data get"
                    f" polity5_2018 --from {path.name}` (or polity4_2018)."
                )
'''))
sub('forecast/sources/official/polity.py',('''    notes = [f"The score is the column {score}."]
''','''    notes = [f"The score is the column {score}."]
    if "p5" in names:
        notes.append("The file is Polity5 (it has the column p5).")
'''))
sub('tests/sources/official/test_vdem.py',('''PEAK = """
''','''def test_a_file_of_polity_is_named(write: Write) -> None:
    """What a user of Polity meets who takes it for the source of regimes."""
    path = write("p4v2018.csv", "cyear,ccode,scode,year,polity,polity2", "21900,2,USA,1900,9,9")
    with pytest.raises(DataError, match=r"'v2x_polyarchy' is missing\\. These are columns of Polity"):
        vdem.read({"country_years": path})


PEAK = """
'''))
sub('tests/panel/test_panel_rows.py',('''        ({"sources": {"conflicts": "cow_mid_5_0"}}, "only data='historical' is put together from sources"),
''','''        ({"sources": {"conflicts": "cow_mid_5_0"}}, "only data='historical' is put together from"),
'''))
t=Path('tests/sources/official/test_polity.py').read_text()
a=t.index('    with pytest.raises(DataError, match="none of the 1 files'); b=t.index('def workbook(')
t=t[:a].rstrip()+'\n\n\n'+t[b:]
t=t.replace('''    assert values(read(path)) == {(2, 1992): None, (365, 1992): 5}
''','''    assert values(read(path)) == {(2, 1992): None, (365, 1992): 5}
    add("polity5_2018", [path], cache=tmp_path / "cache")
    assert values(read_source("polity5_2018", tmp_path / "cache")[0])[365, 1992] == 5
''')
Path('tests/sources/official/test_polity.py').write_text(t)
