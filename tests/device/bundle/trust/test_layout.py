"""The layout is that of the official schema, table by table."""

import re

import pytest

from picaption.device.bundle.trust.layout import ELEMENT_BITS, LAST_OPERATOR, TABLES, UNIONS

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

#: What the schema's own reader calls the numbers of `struct`.
NUMBERS = {
    "Int8": "b",
    "Uint8": "B",
    "Uint16": "H",
    "Int32": "i",
    "Uint32": "I",
    "Int64": "q",
    "Uint64": "Q",
    "Float32": "f",
    "Bool": "?",
}
#: A method of the schema's classes that reads the field of a slot.
FIELD = re.compile(
    r"    def (\w+)\(self(?P<vector>, j)?\):\n"
    r"        o = [^\n]*_tab\.Offset\((?P<slot>\d+)\)\)\n"
    r"(?P<body>.*?)(?=\n    # |\Z)",
    re.DOTALL,
)


def official_tables():
    """Return the fields of every table by its slot, read out of the schema's source."""
    with open(schema.__file__, encoding="utf-8") as file:
        classes = re.split(r"\nclass ", file.read())
    tables = {}
    for text in classes:
        name = re.match(r"(\w+)\(object\):\n    __slots__ = \['_tab'\]", text)
        if not name:
            continue
        fields = tables.setdefault(name[1], {})
        for method in FIELD.finditer(text.partition("\ndef ")[0]):
            slot = (int(method["slot"]) - 4) // 2
            if slot not in fields:  # What follows asks for the length, or the whole as an array.
                fields[slot] = (field_type(method["body"]), bool(method["vector"]))
    return tables


def field_type(body):
    """Return what a method returns: a number's code, "s", "<", or the name of a table."""
    table = re.search(r"obj = (\w+)\(\)", body)
    if "table import Table" in body or "Union" in body:
        return "<"
    if table:
        return table[1]
    if "String" in body:
        return "s"
    return NUMBERS[re.search(r"Get\(flatbuffers\.number_types\.(\w+)Flags", body)[1]]


def test_all_tables_are_there_with_their_fields():
    official = official_tables()
    assert len(official) > 160
    for name, fields in TABLES.items():
        ours = {
            slot: ("<" if field.is_union else field.type, field.is_vector)
            for slot, field in enumerate(fields)
            if field is not None
        }
        # A newer schema may have more.
        theirs = {slot: field for slot, field in official[name].items() if slot < len(fields)}
        assert ours == theirs, name


@pytest.mark.parametrize("union", UNIONS)
def test_unions_have_their_tables(union):
    values = {value: name for name, value in vars(getattr(schema, union)).items() if name[0] != "_"}
    ours = dict(enumerate(UNIONS[union]))
    assert ours == {value: values[value] for value in ours}


def test_enumerations_are_the_official_ones():
    types = {name: value for name, value in vars(schema.TensorType).items() if name[0] != "_"}
    left_out = {types[name] for name in ("STRING", "RESOURCE", "VARIANT")}
    assert ELEMENT_BITS.keys() == set(range(23)) - left_out
    for name, value in types.items():
        digits = re.search(r"\d+", name)
        if value in ELEMENT_BITS and digits:
            assert ELEMENT_BITS[value] == int(digits[0])
    assert schema.BuiltinOperator.STABLEHLO_CASE == LAST_OPERATOR
