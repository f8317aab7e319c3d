"""Advice for file formats that are not supported: how to convert each."""

from __future__ import annotations

import shlex

from mtlkit.config.shell import quoted

BY_PANDAS = {
    ".xlsx": ("Excel", "read_excel", "openpyxl"),
    ".xlsm": ("Excel", "read_excel", "openpyxl"),
    ".xls": ("Excel", "read_excel", "xlrd"),
    ".ods": ("OpenDocument", "read_excel", "odfpy"),
    ".orc": ("ORC", "read_orc", "pyarrow"),
    ".dta": ("Stata", "read_stata", ""),
    ".sav": ("SPSS", "read_spss", "pyreadstat"),
    ".xml": ("XML", "read_xml", "lxml"),
    ".html": ("HTML", "read_html", "lxml"),
}
PICKLE = "pickles can run code and are never opened; save the data as csv, jsonl or parquet from the program that wrote it"
BY_HAND = {
    ".zip": "unpack it first: unzip {name}",
    ".tar": "unpack it first: tar xf {name}",
    ".tgz": "unpack it first: tar xf {name}",
    ".7z": "unpack it first: 7z x {name}",
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".avro": "convert it: fastavro {name} > {stem}.jsonl (pip install fastavro)",
    ".yaml": "convert it: yq -o=json {name} > {stem}.json",
    ".yml": "convert it: yq -o=json {name} > {stem}.json",
    ".pdf": "extract its text first: pdftotext {name} {stem}.txt",
    ".docx": "save it as text first: pandoc {name} --wrap=none -t plain -o {stem}.txt",
    ".db": "export a table first: sqlite3 -header -csv {name} 'SELECT * FROM NAME' > {stem}.csv",
    ".sqlite": "export a table first: sqlite3 -header -csv {name} 'SELECT * FROM NAME' > {stem}.csv",
}


def conversion(name: str, suffix: str) -> str:
    """How to convert a file with this suffix; an empty string if unknown."""
    stem = name[: -len(suffix)] if suffix and name.lower().endswith(suffix) else name
    if suffix in BY_HAND:
        return BY_HAND[suffix].format(name=shlex.quote(name), stem=shlex.quote(stem).strip("'"))
    if suffix not in BY_PANDAS:
        return ""
    kind, function, package = BY_PANDAS[suffix]
    table = f"pandas.{function}({name!r}){'[0]' if function == 'read_html' else ''}"
    code = f"import pandas; {table}.to_csv({stem + '.csv'!r}, index=False)"
    needs = f" (pip install {package})" if package else ""
    return f"{kind} is not supported; save it as csv, or convert it: python -c {quoted(code)}{needs}"
