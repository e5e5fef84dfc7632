"""Nasty literals of every type Postgres has, and of types an application may make."""

JSON_TEXTS = [
    "null",
    '"null"',
    "true",
    "[]",
    "{}",
    "[1,[2,[3]]]",
    "[null]",
    '{"a":1,"a":2,"a":{"b":null,"b":1}}',
    '{"a" :\n\t1 ,\r\n  "b":[ ] }',
    ' \n {"leading": 1}',
    '{"trailing": 1} \t\n',
    "  null ",
    ' "a string" ',
    r'{"nul": "\u0000"}',
    r'{"\u0000": 1}',
    r'"\\u0000"',
    r'["\ud800", "\uDFFF"]',
    r'"\ud83d\ude00 \u00e9 \/ \b\f\n\r\t"',
    '{"$json": "text"}',
    '{"$json": null}',
    '{"$json": {"$json": 1}}',
    '{"$json": "{\\"$json\\": 1}", "other": 1}',
    '{"other": 1, "$json": 2, "$json": 3}',
    '["$json"]',
    '"$json"',
    "1e400",
    "1E-400",
    "-0",
    "1.0",
    "12345678901234567890123456789012345678901234567890.123456789012345678901234567890",
    '"},{"',
    '"\\\\"',
    '"{\\"a\\":\\"\\\\\\"\\"}"',
    '"' + "long \u00e9\u4e2d\U0001f600 " * 800 + '"',
]
JSONB_TEXTS = [
    text for text in JSON_TEXTS if r"\u0000\"" not in text and r'"\u0000"' not in text and "ud800" not in text
]
TEXTS = [
    "",
    " ",
    "null",
    "NULL",
    "{}",
    "[1]",
    '{"a": 1}',
    "\\",
    '"',
    "'",
    "a,b\n,\nc\r\n\t\x01\x1f\x7f\x85\u2028\u2029\ufeff\ufffe\U0010ffff",
    "\\u0000 %s {} $1",
    "e\u0301 \u0627\u0644\u0633\u0644\u0627\u0645 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "x" * 20000,
]
DATES = [
    "infinity",
    "-infinity",
    "4713-01-01 BC",
    "0001-12-31 BC",
    "0001-01-01",
    "1970-01-01",
    "2024-02-29",
    "5874897-12-31",
]
TIMES = [
    "infinity",
    "-infinity",
    "4713-01-01 00:00:00 BC",
    "0044-03-15 12:00:00.000001 BC",
    "1969-12-31 23:59:59.999999",
]
TIMES += ["2024-06-30 23:59:60", "294276-12-31 23:59:59.999999"]
NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0.000",
    "1e400",
    "-1e400",
    "1e-400",
    "1e308",
    "9.99e307",
    "0.1",
    "100.00",
]
NUMBERS += ["1234567890123456789012345678901234567890", "-0.1234567890123456789012345678901234567890", "9" * 1000]
FLOATS = ["NaN", "Infinity", "-Infinity", "-0", "0.1", "1e-37", "3.4028235e38", "16777217"]
SNAPSHOTS = ["1:1:", "10:20:10,14,15", "9223372036854775806:9223372036854775807:9223372036854775806"]

# Literals of every base, range and multirange type of pg_catalog that a table may have.
VALUES: dict[str, list[str]] = {
    "bool": ["t", "f"],
    "bytea": [r"\x", r"\x00", r"\x5c22270a00ff", r"\x" + "00ff" * 5000],
    "char": ["a", '"', "\\", "1"],
    '"char"': ["", "a", "\\", r"\377", r"\001"],
    "name": ["", "a b", 'q"u\\o', "n" * 63],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "numeric": NUMBERS,
    "numeric(6,2)": ["NaN", "-9999.99", "0.10"],
    "numeric(1000,500)": ["NaN", "9" * 500 + "." + "9" * 500],
    "float4": FLOATS,
    "float8": [*FLOATS, "5e-324", "1.7976931348623157e308", "0.1234567890123456789", "9007199254740993"],
    "money": ["-92233720368547758.08", "92233720368547758.07", "0.01"],
    "text": TEXTS,
    "varchar": TEXTS,
    "varchar(3)": ["", "   ", "\u4e2d\u4e2d\u4e2d"],
    "bpchar": ["", "a  ", " b"],
    "char(5)": ["", "a", " b"],
    "date": DATES,
    "time": ["00:00:00", "23:59:59.999999", "24:00:00"],
    "timetz": ["00:00:00+15:59:59", "24:00:00-15:59:59", "12:34:56.789+05:30"],
    "timestamp": TIMES,
    "timestamptz": [*TIMES, "2024-01-01 00:00:00+13:45"],
    "timestamptz(0)": ["2024-01-01 00:00:00.5"],
    "interval": [
        "-178000000 years",
        "1 mon -1 day 00:00:00.000001",
        "-00:00:00.1",
        "178956970 years 7 mons",
        "25:01:59.5",
    ],
    "bit": ["0", "1"],
    "bit(3)": ["000", "101"],
    "varbit": ["", "0", "1" * 65],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "inet": ["0.0.0.0/0", "127.0.0.1", "10.1.2.3/8", "::", "::ffff:1.2.3.4/96", "fe80::1/64"],
    "cidr": ["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "json": JSON_TEXTS,
    "jsonb": JSONB_TEXTS,
    "jsonpath": ["$", 'strict $."a b"[*] ? (@ > 1 && @ like_regex "x\\\\y")', "$.*.keyvalue()"],
    "xml": ["", "text", " <a b='\"'>x &lt; y<![CDATA[ ]]&gt; ]]></a>\n", '<?xml version="1.0"?><a/>', "<a/><b/>"],
    "point": ["(0,-0)", "(NaN,Infinity)", "(1e-300,0.1)"],
    "line": ["{1,-1,0.1}", "{0,1,0}"],
    "lseg": ["[(0,0),(1,0.1)]"],
    "box": ["(2,2),(0,0)", "(Infinity,1),(-Infinity,0)"],
    "path": ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"],
    "polygon": ["((0,0),(1,1),(2,0.1))"],
    "circle": ["<(0,0),0>", "<(1,2),Infinity>"],
    "tsvector": ["", "'a':1A,2B 'it''s':3 'b\\\\c':16383C '{,}'"],
    "tsquery": ["", "'a' & !'b':*AB <-> 'it''s' | ( 'c' <2> 'd' )"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF"],
    "txid_snapshot": SNAPSHOTS,
    "pg_snapshot": SNAPSHOTS,
    "oid": ["0", "4294967295"],
    "xid": ["0", "4294967295"],
    "xid8": ["0", "18446744073709551615"],
    "cid": ["0", "4294967295"],
    "tid": ["(0,0)", "(4294967294,65535)"],
    "int2vector": ["", "1", "1 -2 32767"],
    "oidvector": ["", "0", "1 4294967295"],
    "refcursor": ["", 'a "b"'],
    "aclitem": ["=r/supabase_admin", "supabase_admin=r*w/supabase_admin"],
    "regclass": ["-", "pg_class", 'public."we ird".', "4294967295"],
    "regtype": ["-", "int4", "timestamp with time zone", "pg_class", "4294967295"],
    "regproc": ["-", "int4in", "4294967295"],
    "regprocedure": ["-", "abs(int4)", "4294967295"],
    "regoper": ["0", "pg_catalog.||/", "4294967295"],
    "regoperator": ["0", "+(int4,int4)", "!!(none,tsquery)", "4294967295"],
    "regrole": ["-", "supabase_admin", "4294967295"],
    "regnamespace": ["-", "public", "pg_catalog", "4294967295"],
    "regcollation": ["-", '"C"', "4294967295"],
    "regconfig": ["-", "simple", "4294967295"],
    "regdictionary": ["-", "simple", "4294967295"],
    "int4range": ["empty", "(,)", "[1,10)", "[,5)"],
    "int8range": ["empty", "[1,9223372036854775807)"],
    "numrange": ["empty", "[NaN,NaN]", "(-Infinity,1e400]", "(0.10,0.2)"],
    "daterange": ["empty", "[-infinity,infinity]", "[4713-01-01 BC,)"],
    "tsrange": ["empty", '["2024-01-01 00:00:00","infinity"]', '(,"0044-03-15 00:00:00 BC")'],
    "tstzrange": ["empty", '["2024-01-01 00:00:00+00","infinity")'],
    "int4multirange": ["{}", "{[1,2),[5,)}"],
    "int8multirange": ["{}", "{(,)}"],
    "nummultirange": ["{}", "{[0.1,0.2),[1e400,Infinity]}"],
    "datemultirange": ["{}", "{[-infinity,2024-01-01)}"],
    "tsmultirange": ["{}", '{["2024-01-01 00:00:00","2024-01-02 00:00:00")}'],
    "tstzmultirange": ["{}", '{["2024-01-01 00:00:00+00",infinity)}'],
}
VALUES["regclass"][2] = 'public."we ird."'

# Types of the application's own, made before the tables.
OWN_TYPES = """
create table public."we ird." ();
create type public.mood as enum ('', 'sad', 'a,b', 'q"uo''te', '\\', 'null', '{}', '(x)');
create type public.json as enum ('null', '{}');
create type public.numeric as enum ('NaN');
create type public.pg_node_tree as enum ('harmless');
create type public.floats as range (subtype = float8, subtype_diff = float8mi);
create type public.texts as range (subtype = text, collation = "C");
create type public.told as enum ('tell', 'null');
create function public.told(public.told) returns pg_catalog.json language sql immutable as $$ select '{"a": 1}'::pg_catalog.json $$;
create cast (public.told as pg_catalog.json) with function public.told(public.told);
create type public.fraction as (part pg_catalog.int4, whole pg_catalog."numeric");
create type public.nested as (name text, inner_one public.fraction, many public.fraction[], note pg_catalog.json);
create domain public.positive as pg_catalog.int4 check (value > 0);
create domain public.more_positive as public.positive check (value > 1);
create domain public.event as pg_catalog.json;
create domain public.event_b as pg_catalog.jsonb;
create domain public.some_fractions as public.fraction[];
create domain public.a_fraction as public.fraction;
"""
OWN_VALUES: dict[str, list[str]] = {
    "public.mood": ["", "sad", "a,b", "q\"uo'te", "\\", "null", "{}", "(x)"],
    "public.json": ["null", "{}"],
    'public."numeric"': ["NaN"],
    "public.pg_node_tree": ["harmless"],
    "public.floats": ["empty", "[NaN,NaN]", "(-Infinity,0.1]"],
    "public.texts": ["empty", '["a,b","q""u\\\\o")', "(,)"],
    "public.floats_multirange": ["{}", "{[0.1,0.2)}"],
    "public.told": ["tell", "null"],
    "public.fraction": ["(1,2)", "(,)", "(,NaN)", "(-1,1e400)"],
    "public.nested": [
        '("x ""y"" (,)","(1,2)","{""(1,2)"",""(,)"",NULL}"," null ")',
        "(,,,)",
        '("","(,)","[5:5]={""(1,2)""}","{""$json"":1}")',
    ],
    "public.more_positive": ["2"],
    "public.event": JSON_TEXTS,
    "public.event_b": JSONB_TEXTS,
    "public.some_fractions": ["{}", '{"(1,2)",NULL}', '[0:0]={"(1,2)"}'],
    "public.a_fraction": ["(1,2)", "(,)"],
}
