"""Small documents of every format, written by hand: no library that makes them is needed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

_OFFICE = "http://schemas.openxmlformats.org"
_RELATIONS = f"{_OFFICE}/officeDocument/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument"


def pdf(pages: Sequence[Sequence[str]], *, password: bool = False) -> bytes:
    """A PDF whose pages have these lines; with a password nobody knows, where wanted."""
    n_pages = len(pages)
    parent = 2 * n_pages + 2
    objects = [b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for lines in pages:
        shown = b"".join(b"(%s) Tj T* " % line.encode("latin-1") for line in lines)
        stream = b"BT /F1 12 Tf 72 720 Td 14 TL " + shown + b"ET"
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    for number in range(n_pages):
        objects.append(
            b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] /Resources << /Font "
            b"<< /F1 1 0 R >> >> /Contents %d 0 R >>" % (parent, number + 2)
        )
    kids = b" ".join(b"%d 0 R" % (n_pages + 2 + number) for number in range(n_pages))
    objects.append(b"<< /Type /Pages /Count %d /Kids [%s] >>" % (n_pages, kids))
    objects.append(b"<< /Type /Catalog /Pages %d 0 R >>" % parent)
    objects.append(b"<< /Title (The bridge) /Author (Ada) >>")
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    lock = (
        b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>]"
        % (b"ab" * 32, b"cd" * 32)
        if password
        else b""
    )
    out.write(
        b"trailer << /Size %d /Root %d 0 R /Info %d 0 R %s >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, parent + 1, parent + 2, lock, start)
    )
    return out.getvalue()


def docx(*paragraphs: tuple[str, str], table: Sequence[Sequence[str]] = ()) -> bytes:
    """A Word file of paragraphs, each with its style (or none), and a table behind them."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>{_run(text)}</w:p>'
        if style
        else f"<w:p>{_run(text)}</w:p>"
        for style, text in paragraphs
    )
    rows = (
        "<w:tr>" + "".join(f"<w:tc><w:p>{_run(cell)}</w:p></w:tc>" for cell in row) + "</w:tr>"
        for row in table
    )
    body += f"<w:tbl>{''.join(rows)}</w:tbl>" if table else ""
    main = f"{_OFFICE}/wordprocessingml/2006/main"
    document = (
        f'<?xml version="1.0"?><w:document xmlns:w="{main}"><w:body>{body}</w:body></w:document>'
    )
    kind = f"{_TYPES}.wordprocessingml.document.main+xml"
    return _package("word/document.xml", kind, {"word/document.xml": document})


def _run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def pptx(*slides: tuple[str, str]) -> bytes:
    """A PowerPoint file of slides, each with a title and a text."""
    names = (
        f'xmlns:p="{_OFFICE}/presentationml/2006/main" xmlns:a="{_OFFICE}/drawingml/2006/main" '
        f'xmlns:r="{_RELATIONS}"'
    )
    numbers = range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="s{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="s{n}" Type="{_RELATIONS}/slide" Target="slides/slide{n}.xml"/>'
        for n in numbers
    )
    parts = {
        "ppt/presentation.xml": f'<?xml version="1.0"?><p:presentation {names}><p:sldIdLst>{ids}'
        "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relationships(links),
    }
    for number, (title, text) in zip(numbers, slides, strict=True):
        shapes = _shape(2, "title", title) + _shape(3, "body", text)
        parts[f"ppt/slides/slide{number}.xml"] = (
            f'<?xml version="1.0"?><p:sld {names}><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="1" '
            f'name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{shapes}</p:spTree>'
            "</p:cSld></p:sld>"
        )
    return _package("ppt/presentation.xml", f"{_TYPES}.presentationml.presentation.main+xml", parts)


def _shape(number: int, place: str, text: str) -> str:
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="x"/><p:cNvSpPr/><p:nvPr>'
        f'<p:ph type="{place}"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r>'
        f"<a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
    )


def _package(main: str, kind: str, parts: dict[str, str]) -> bytes:
    types = (
        f'<?xml version="1.0"?><Types xmlns="{_OFFICE}/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{kind}"/></Types>'
    )
    link = f'<Relationship Id="r" Type="{_RELATIONS}/officeDocument" Target="{main}"/>'
    return zipped({"[Content_Types].xml": types, "_rels/.rels": _relationships(link), **parts})


def _relationships(links: str) -> str:
    space = f"{_OFFICE}/package/2006/relationships"
    return f'<?xml version="1.0"?><Relationships xmlns="{space}">{links}</Relationships>'


def zipped(files: dict[str, str | bytes]) -> bytes:
    """An archive of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
