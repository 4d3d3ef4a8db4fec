"""The text of a manual page out of its source (man and mdoc macros), the same on every machine whether groff is there or not.

Not a typesetter: tables lose their lines, equations and conditions are left out. Not here: which pages (`man_pages`)."""

import re
import unicodedata

SPECIAL = {
    "aq": "'", "cq": "’", "oq": "‘", "dq": '"', "lq": "“", "rq": "”", "em": "—", "en": "–", "hy": "-", "mi": "-", "bu": "•", "co": "©",
    "ha": "^", "ti": "~", "rs": "\\", "ga": "`", "sl": "/", "ul": "_", "or": "|", "ba": "|", "lB": "[", "rB": "]", "la": "<", "ra": ">",
    "->": "→", "<-": "←", "mu": "×", "+-": "±", ">=": "≥", "<=": "≤", "!=": "≠", "ss": "ß", "oe": "œ", "ae": "æ", "AE": "Æ", "/o": "ø", "/O": "Ø",
    "Fo": "«", "Fc": "»", "Bq": "„", "bq": "‚", "R": "®", "Tm": "™", "lh": "☜", "rh": "☞", "Do": "$", "at": "@", "sh": "#",
}
# An accent and its letter, as in `\\(:u`.
ACCENTS = {":": "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", ",": "\u0327", "o": "\u030a", "v": "\u030c"}
STRINGS = {"R": "®", "Tm": "™", "lq": "“", "rq": "”", "Aq": "'", "L\"": '"', "R\"": '"'}
ESCAPE = re.compile(
    r"\\(?:"
    r"[fFmMgY](?:\[[^\]]*\]|\(..|.)"  # fonts and colors
    r"|s(?:\[[^\]]*\]|\([+-]?..|[+-]?\d|'[^']*')"  # sizes
    r"|[hvwlLbDoXZAN]'[^']*'"  # motions and drawings
    r"|[kn](?:\[[^\]]*\]|\(..|[+-]?.)"  # registers
    r"|\*(?:\[(?P<long_string>[^\]]*)\]|\((?P<string>..)|(?P<short_string>.))"
    r"|\((?P<pair>..)|\[(?P<name>[^\]]*)\]"
    r"|(?P<one>.)|$)"
)
PRINTED = {"-": "-", "e": "\\", "\\": "\\", "'": "'", "`": "`", "~": " ", " ": " ", "0": " ", ".": ".", "t": " "}
WORD = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')
ALTERNATING = {"BR", "RB", "IR", "RI", "BI", "IB"}
PARAGRAPH = {"PP", "P", "LP", "Pp", "TP", "TQ", "sp", "br", "RS", "RE", "HP", "IP", "It", "Bl", "El", "Bd", "Ed", "nf", "fi", "EX", "EE"}
HEADINGS = {"SH", "Sh", "SS", "Ss"}
# Of mdoc: what encloses its words, and what only marks them.
ENCLOSING = {"Op": "[]", "Oo": "[]", "Aq": "<>", "Ao": "<>", "Pq": "()", "Po": "()", "Dq": "“”", "Do": "“”", "Sq": "‘’", "Bq": "[]", "Brq": "{}", "Ql": "‘’"}
MARKS = set("Ad An Ap Ar Bc Bx Cd Cm Dv Em Er Ev Fa Fl Fn Ft Fx Ic In Lb Li Lk Ms Mt Nm Ns No Nx Oc Ac Pc Dc Pa Pf Sc Sx Sy Tn Va Vt Xc Xo Xr St Bf Ef Dl D1 Ta".split())
LEFT_OUT = {"TH", "Dd", "Dt", "Os", "ad", "na", "hy", "nh", "ie", "if", "el", "ft", "ds", "nr", "so", "ne", "ta", "tr", "in", "ti", "ll", "PD", "de1",
            "UR", "MT", "UE", "ME", "Sm", "Nd", "rm", "rr", "als", "cc", "ec", "eo", "fam", "mso", "hla", "fp", "ss", "pl", "po", "bp", "ns", "rs", "DT", "AT", "UC", "IX", "while", "am", "Rs", "Re"}


def special(name):
    if name in SPECIAL:
        return SPECIAL[name]
    if len(name) == 2 and name[0] in ACCENTS and name[1].isalpha():
        return unicodedata.normalize("NFC", name[1] + ACCENTS[name[0]])
    return ""


def printed(text):
    """The text without its escapes."""
    if "\\" not in text:
        return text

    def one(found):
        if found["pair"]:
            return special(found["pair"])
        if found["name"]:
            name = found["name"]
            if re.fullmatch(r"u[0-9A-Fa-f]{4,6}", name):
                return chr(int(name[1:], 16))
            return special(name)
        string = found["long_string"] or found["string"] or found["short_string"]
        if string:
            return STRINGS.get(string, "")
        return PRINTED.get(found["one"] or "", "")

    return ESCAPE.sub(one, text.split('\\"', 1)[0])


def words(text):
    return [quoted.replace('""', '"') if quoted or not bare else bare for quoted, bare in WORD.findall(text)]


def mdoc(macro, given, name):
    """A line of mdoc, whose words may be macros, too."""
    if macro == "Nm" and not given:
        given = [name]
    out, closing, follows = [], "", False
    for word in [macro, *given]:
        if word in ENCLOSING:
            out.append(ENCLOSING[word][0])
            closing = ENCLOSING[word][1] + closing
        elif word == "Fl":
            out.append("-")
            follows = True
        elif word in MARKS:
            follows = False
        elif follows:
            out[-1] += word
            follows = False
        else:
            out.append(word)
    return " ".join([*out, closing]).strip()


def sections(source):
    """The headings of a page's source, each with the paragraphs below it."""
    found, paragraph, skipping, name = [("", [])], [], None, ""

    def end():
        text = " ".join(" ".join(paragraph).split())
        if text:
            found[-1][1].append(text)
        paragraph.clear()

    wants_heading = None
    for line in source.splitlines():
        if skipping:
            if line.strip() == skipping or (skipping == "." and line.rstrip().endswith(".")):
                skipping = None
            continue
        control = re.match(r"[.'][ \t]*([A-Za-z0-9]{1,5})?(.*)", line)
        if not control:
            if wants_heading:
                found.append((printed(line).strip(), []))
                wants_heading = None
            elif not line.strip():
                end()
            elif line.startswith("T{") or line.startswith("T}"):
                paragraph.append(printed(line[2:]))
            else:
                paragraph.append(printed(line.replace("\t", " ")))
            continue
        macro, rest = control[1] or "", control[2]
        given = [printed(word) for word in words(rest)] if not rest.startswith("\\\"") else []
        if macro in HEADINGS:
            end()
            if given:
                found.append((" ".join(given), []))
            else:
                wants_heading = macro
        elif macro in ("de", "ig", "am", "de1"):
            skipping = ".."
        elif macro in ("TS", "EQ", "PS"):
            end()
            # Of a table the lines up to the one that ends with a period are its format.
            skipping = "." if macro == "TS" else "." + macro[0] + ("N" if macro == "EQ" else "E")
        elif macro in PARAGRAPH:
            end()
            if macro in ("IP", "It") and given:
                paragraph.append(mdoc("No", given, name) if macro == "It" else given[0])
        elif macro in ALTERNATING:
            paragraph.append("".join(given))
        elif macro == "Nd":
            paragraph.append("- " + " ".join(given))
        elif macro in MARKS or macro in ENCLOSING:
            if macro == "Nm" and given and not name:
                name = given[0]
            paragraph.append(mdoc(macro, given, name))
        elif macro in LEFT_OUT or not macro or re.search(r"\\\{", rest):
            continue
        elif macro in ("B", "I", "SM", "SB", "R", "CW"):
            paragraph.append(" ".join(given))
    end()
    return found
