"""Ids of languages and licences that the Hugging Face hub accepts in a model card."""

from __future__ import annotations

import difflib
import re

from mtlkit.errors import UsageError, shorten, suggest

# ISO 639-1
_NAMES = """
aa Afar; ab Abkhazian; ae Avestan; af Afrikaans; ak Akan; am Amharic; an Aragonese; ar Arabic; as Assamese; av Avaric; ay
Aymara; az Azerbaijani; ba Bashkir; be Belarusian; bg Bulgarian; bh Bihari; bi Bislama; bm Bambara; bn Bengali; bo Tibetan;
br Breton; bs Bosnian; ca Catalan; ce Chechen; ch Chamorro; co Corsican; cr Cree; cs Czech; cu Church Slavonic; cv Chuvash;
cy Welsh; da Danish; de German; dv Divehi; dz Dzongkha; ee Ewe; el Greek; en English; eo Esperanto; es Spanish; et Estonian;
eu Basque; fa Persian; ff Fulah; fi Finnish; fj Fijian; fo Faroese; fr French; fy Western Frisian; ga Irish; gd Gaelic; gl
Galician; gn Guarani; gu Gujarati; gv Manx; ha Hausa; he Hebrew; hi Hindi; ho Hiri Motu; hr Croatian; ht Haitian; hu
Hungarian; hy Armenian; hz Herero; ia Interlingua; id Indonesian; ie Interlingue; ig Igbo; ii Sichuan Yi; ik Inupiaq; io
Ido; is Icelandic; it Italian; iu Inuktitut; ja Japanese; jv Javanese; ka Georgian; kg Kongo; ki Kikuyu; kj Kuanyama; kk
Kazakh; kl Kalaallisut; km Central Khmer; kn Kannada; ko Korean; kr Kanuri; ks Kashmiri; ku Kurdish; kv Komi; kw Cornish; ky
Kyrgyz; la Latin; lb Luxembourgish; lg Ganda; li Limburgan; ln Lingala; lo Lao; lt Lithuanian; lu Luba-Katanga; lv Latvian;
mg Malagasy; mh Marshallese; mi Maori; mk Macedonian; ml Malayalam; mn Mongolian; mr Marathi; ms Malay; mt Maltese; my
Burmese; na Nauru; nb Norwegian Bokmål; nd North Ndebele; ne Nepali; ng Ndonga; nl Dutch; nn Norwegian Nynorsk; no
Norwegian; nr South Ndebele; nv Navajo; ny Chichewa; oc Occitan; oj Ojibwa; om Oromo; or Oriya; os Ossetian; pa Punjabi; pi
Pali; pl Polish; ps Pashto; pt Portuguese; qu Quechua; rm Romansh; rn Rundi; ro Romanian; ru Russian; rw Kinyarwanda; sa
Sanskrit; sc Sardinian; sd Sindhi; se Northern Sami; sg Sango; sh Serbo-Croatian; si Sinhala; sk Slovak; sl Slovenian; sm
Samoan; sn Shona; so Somali; sq Albanian; sr Serbian; ss Swati; st Southern Sotho; su Sundanese; sv Swedish; sw Swahili; ta
Tamil; te Telugu; tg Tajik; th Thai; ti Tigrinya; tk Turkmen; tl Tagalog; tn Tswana; to Tonga; tr Turkish; ts Tsonga; tt
Tatar; tw Twi; ty Tahitian; ug Uyghur; uk Ukrainian; ur Urdu; uz Uzbek; ve Venda; vi Vietnamese; vo Volapük; wa Walloon; wo
Wolof; xh Xhosa; yi Yiddish; yo Yoruba; za Zhuang; zh Chinese; zu Zulu
"""
# https://huggingface.co/docs/hub/repositories-licenses
_LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research
intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openmdw-1.1 openrail++ osl-3.0
postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3
llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other
"""

LICENSES = tuple(_LICENSES.split())
LANGUAGES = dict(entry.strip().split(" ", 1) for entry in _NAMES.replace("\n", " ").split(";"))  # names by code
NO_LANGUAGES = ("multilingual", "code")  # that the hub accepts, too
CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # ISO 639-1 or 639-3, perhaps with a script or a region
TABLE = "https://huggingface.co/docs/hub/repositories-licenses"

PART = r"(?!.*(?:--|\.\.))[A-Za-z0-9_][\w.-]{0,95}(?<![.-])"  # of the id of a repository
REPOSITORY = re.compile(rf"{PART}/{PART}(?<!\.git)", re.ASCII)


def parse_repository(text: str) -> str:
    """Returns the id of a repository of the hub, USER/NAME. Raises UsageError."""
    if REPOSITORY.fullmatch(text):
        return text
    rules = "letters, digits, '-', '_' and '.', none of the last three doubled or at an end"
    raise UsageError(f"--push {shorten(text, 60)!r} is not USER/NAME, such as me/topics ({rules})")


def parse_license(text: str) -> str:
    """Returns an id that the hub knows. Raises UsageError with the nearest one."""
    if text in LICENSES:
        return text
    folded = "-".join(text.lower().replace("_", " ").split())
    near = f"; did you mean '{folded}'?" if folded in LICENSES else suggest(folded, LICENSES)
    raise UsageError(
        f"--license {shorten(text, 60)!r} is not an id in {TABLE}{near or '; give other for a licence without an id'}"
    )


def parse_language(text: str) -> str:
    """Returns a code of ISO 639, perhaps with a script or a region, such as en or zh-Hant. Raises UsageError with the nearest."""
    code = text.partition("-")[0]
    if text in NO_LANGUAGES or (CODE.fullmatch(text) and (code in LANGUAGES or len(code) == 3)):
        return text
    codes = {name.lower(): code for code, name in LANGUAGES.items()}
    lower = text.lower().strip()
    found = codes.get(lower) or (lower if lower in LANGUAGES else None)
    if found is None and (matches := difflib.get_close_matches(lower, codes, n=1)):
        found = codes[matches[0]]
    near = f"; did you mean '{found}' ({LANGUAGES[found]})?" if found else ""
    if "," in text:
        near = suggest(text, (), "--language")
    raise UsageError(f"--language {shorten(text, 60)!r} is no code of ISO 639, such as en or el{near}")
