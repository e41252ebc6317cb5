"""Pages of HTML and Markdown: all that a reader sees of them, and nothing else."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from nlp_pipeline.corpus.documents import conversion_worker
from nlp_pipeline.corpus.documents.document_text import LayoutText
from nlp_pipeline.corpus.documents.html_text import html_layout
from nlp_pipeline.corpus.documents.markdown_text import markdown_layout
from nlp_pipeline.corpus.documents.page_letters import decoded_page


def parts(document: LayoutText) -> list[tuple[str, str]]:
    return [
        (row["kind"], document.text[row["start_char"] : row["end_char"]]) for row in document.layout
    ]


CELLS = ("table", "| a | b |\n| --- | --- |")
PARTED_HEADINGS = [
    ("heading", "A"),
    ("paragraph", "x"),
    ("heading", "B"),
    ("heading", "C"),
    ("paragraph", "y"),
]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<div>One <b>two</b>,<br>three</div>", [("paragraph", "One two, three")]),
        ("bare<p>P</p>tail", [("paragraph", "bare"), ("paragraph", "P"), ("paragraph", "tail")]),
        ("a<br>b<br> <br/>c<br><br><br>d", [("paragraph", t) for t in ("a b", "c", "d")]),
        ("<button>A</button><button>B</button>x<img src=a>y", [("paragraph", "A B x y")]),
        ("<title>no</title><body style='visibility:hidden'>seen", [("paragraph", "seen")]),
        ("Ada\0 Lund", [("paragraph", "Ada Lund")]),
        ("<blockquote>Quoted</blockquote>", [("paragraph", "Quoted")]),
        ("<dl><dt>Term<dd>Meaning</dl>", [("paragraph", "Term"), ("paragraph", "Meaning")]),
        ("<h2>A <i>b</i></h2>x", [("heading", "A b"), ("paragraph", "x")]),
        (
            "<ul><li>one<ul><li>deep</ul><li>two<p>more</ul>",
            [
                ("list_item", "- one"),
                ("list_item", "- deep"),
                ("list_item", "- two"),
                ("paragraph", "more"),
            ],
        ),
        ("<ol start=3><li>c</li><li>d</ol>", [("list_item", "3. c"), ("list_item", "4. d")]),
        ("<pre><code>x = 1\n\n  y</code></pre>", [("code", "x = 1\n\n  y")]),
        (
            "<p>1 &lt; 2 &amp;amp; *a* _b_ [c](d) #e</p>",
            [("paragraph", "1 < 2 &amp; *a* _b_ [c](d) #e")],
        ),
        ("<figure><img src=x><figcaption>Cap</figcaption></figure>", [("caption", "Cap")]),
        ("<p>open <b>bold<p>next", [("paragraph", "open bold"), ("paragraph", "next")]),
        ("</p></table>odd</li>", [("paragraph", "odd")]),
        ("a</p>b<p>c</br>d", [("paragraph", t) for t in ("a", "b", "c d")]),
        ("<h1>A</h2>x<h1>B<h2>C</h2>y", PARTED_HEADINGS),
        ("<b><p>one</b> two</p>three", [("paragraph", "one two"), ("paragraph", "three")]),
        ("<div><table><tr><td>a</div></td><td>b</table>c", [CELLS, ("paragraph", "c")]),
        ("<i><table><tr><td>a</i></td><td>b</table></i>c", [CELLS, ("paragraph", "c")]),
        ("<table><tr><td>a<td>b", [CELLS]),
        ("<ol><li value=5>e<li>f</ol>", [("list_item", "5. e"), ("list_item", "6. f")]),
        ("<pre>\n  if x:\n    y\n</pre>", [("code", "  if x:\n    y")]),
        ("a<![if x]>b<![foo[ c ]]>d<![ e ]>f", [("paragraph", "abdf")]),
        ("a<!-->b<!--->c<!-- d --!>e<!-- f", [("paragraph", "abce")]),
        ("<p style='backface-visibility: hidden'>seen", [("paragraph", "seen")]),
        ("<div>" * 5000 + "deep" + "</div>" * 5000, [("paragraph", "deep")]),
    ],
)
def test_what_is_seen(page: str, expected: list[tuple[str, str]]) -> None:
    assert parts(html_layout(page)) == expected


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>no()</script>",
        "<style>no{}</style>",
        "<template><p>no</p></template>",
        "<noscript>no</noscript>",
        "<noframes><p>no</noframes>",
        "<p style='color: red; content-visibility:hidden'>no</p>",
        "<!-- no -->",
        "<p hidden>no",
        "<p style='color: red; DISPLAY : none'>no</p>",
        "<div style='visibility:hidden'><p>no</p><ul><li>no</ul></div>",
        "<svg><title>no</title><text>no</text></svg>",
        "<iframe srcdoc='no'>no</iframe>",
        "<dialog>no</dialog>",
        "<input type=hidden value=no>",
        "<img alt='no' src='data:image/png;base64,no'>",
        "<nav><a>no</a></nav>",
        "<p onclick='no()'></p><a href='javascript:no'></a>",
        "<script>no",
    ],
)
def test_what_is_not_seen(hidden: str) -> None:
    before = "<html><head><title>no</title></head><body><p>Seen.</p>"
    assert html_layout(before + hidden).text == "Seen."
    if hidden != "<script>no":
        assert html_layout(f"{before}{hidden}<p>Also.</p>").text == "Seen.\n\nAlso."


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            "<table><caption>C</caption><tr><th>a<th>b<tr><td>1|2<td><p>p</p><p>q</p></table>",
            [("caption", "C"), ("table", "| a | b |\n| --- | --- |\n| 1\\|2 | p q |")],
        ),
        (
            "<table><tr><td colspan=2>w</td></tr><tr><td rowspan=2>r<td>1<tr><td>2</table>",
            [("table", "| w |  |\n| --- | --- |\n| r | 1 |\n|  | 2 |")],
        ),
        ("<table><tr><td>alone</td></tr></table>", [("paragraph", "alone")]),
        (
            "<table><tr><td>out<table><tr><td>a<td>b</table></td><td>after</td></tr></table>",
            [
                ("paragraph", "out"),
                ("table", "| a | b |\n| --- | --- |"),
                ("paragraph", "after"),
            ],
        ),
        ("<table><tr><td colspan=99999999999>w<td>x</table>", None),
    ],
)
def test_tables(table: str, expected: list[tuple[str, str]] | None) -> None:
    """Those that only lay out others are no tables."""
    document = html_layout(table)
    if expected is None:
        assert document.text.startswith("| w | ")
    else:
        assert parts(document) == expected


def test_markdown() -> None:
    text = (
        "---\ntitle: X\n---\n# H\n\nIntro *it* [l](u) &amp; a_b\n\n> Quoted\n\n"
        "<div>in a div</div>\n\nText[^1]\n\n[^1]: Note\n\n1. one\n2. two\n"
        "   - deep\n\n| a | b |\n|---|---|\n| 1 | `x` |\n"
    )
    assert parts(markdown_layout(text)) == [
        ("heading", "H"),
        ("paragraph", "Intro it l & a_b"),
        ("paragraph", "Quoted"),
        ("paragraph", "in a div"),
        ("paragraph", "Text[^1]"),
        ("paragraph", "[^1]: Note"),
        ("list_item", "1. one"),
        ("list_item", "2. two"),
        ("list_item", "- deep"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | x |"),
    ]


@pytest.mark.parametrize("start", ["---\n\n", "---\n---\n", "---\n# facts\na: 1\n---\n"])
def test_a_line_that_parts_begins_no_facts(start: str) -> None:
    assert markdown_layout(f"{start}First\n\n---\nSecond\n").text == "First\n\nSecond"


def test_lists_in_lists_are_whole() -> None:
    lines = [f"{'  ' * depth}- item {depth}" for depth in range(30)]
    assert parts(markdown_layout("\n".join(lines))) == [
        ("list_item", line.strip()) for line in lines
    ]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("", "cp1252"),
        ("<meta charset=iso-8859-1>", "cp1252"),
        ("<meta charset=utf-8>", "cp1252"),
        ("<meta http-equiv=Content-Type content='text/html; charset=iso-8859-2'>", "iso-8859-2"),
        ("<meta charset='no-such'>", "utf-8"),
        ("\ufffd", "utf-8"),
        ("<meta charset='iso-8859-1'>", "utf-8"),
    ],
)
def test_letters_are_those_of_the_page(head: str, encoding: str) -> None:
    page = f"{head}<p>Märzü</p>"
    assert decoded_page(page.encode(encoding)) == page


@pytest.mark.parametrize(
    ("label", "encoding", "letters"),
    [
        ("gb2312", "gbk", "朱镕基"),
        ("shift_jis", "cp932", "①あ"),
        ("euc-kr", "cp949", "똠자"),
        ("iso-8859-9", "cp1254", "“şığ”"),
        ("utf-16", "cp1252", "é ü"),
        ("hex", "cp1252", "é ü"),
    ],
)
def test_labels_mean_what_browsers_take_them_for(label: str, encoding: str, letters: str) -> None:
    page = f"<meta charset={label}><p>{letters}</p>"
    assert decoded_page(page.encode(encoding)) == page


def test_a_broken_byte_spoils_no_other_letters() -> None:
    page = "<meta charset=utf-8><p>é ü ß</p>"
    assert decoded_page(page.encode() + b"\xff") == page + "\ufffd"


def test_what_xml_says_of_its_encoding() -> None:
    page = '<?xml version="1.0" encoding="iso-8859-2"?><p>łódź</p>'
    assert decoded_page(page.encode("iso-8859-2")) == page


@pytest.mark.parametrize(("error", "problem"), [(ValueError("odd"), "odd"), (MemoryError(), None)])
def test_what_fails_after_the_library_is_a_broken_document(
    error: Exception, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kreuzberg")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(conversion_worker, "laid_out", fail)
    with nullcontext() if problem else pytest.raises(MemoryError):
        answer = conversion_worker.converted(None, b"<p>x</p>", "text/html")
        assert answer == {"problem": "broken", "reason": problem}
