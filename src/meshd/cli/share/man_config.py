"""The page meshd.yaml(5): docs/configuration.md, which the configuration's classes make, as roff."""

import re
from collections.abc import Iterator

from meshd.cli.daemon import SYSTEM_FILE
from meshd.cli.share import roff
from meshd.config.child import find
from meshd.config.reference import make_reference
from meshd.config.transfer import REGISTRY
from meshd.model.plugin import PluginSettings

ABOUT = "configuration of the service mesh daemon meshd"
SEE_ALSO = "meshd(8), meshctl(1)"

OPENING = (
    "The file that meshd(8) reads: a YAML mapping with the sections below. The keys of plugins that were installed "
    "beside the shipped ones are not here; `meshd --schema` has them, and `meshd --check` checks them."
)
EXAMPLE = """\
listeners:
  - name: shop
    address: 0.0.0.0:80
    filters:
      - router:
          virtual_hosts:
            - name: shop
              domains: ["*"]
              routes:
                - match: {prefix: /}
                  cluster: shop
clusters:
  - name: shop
    endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]
    load_balancer: least_request
telemetry:
  - access_log: {path: "-"}
"""

KEY_ROW = "| key | value | default | |"
CELL = re.compile(r"(?<!\\)\|")


def make_page() -> str:
    """Return the page of the shipped plugins' and the core's keys."""
    lines = [*roff.header("meshd.yaml", 5, ABOUT), roff.section("description")]
    lines += [*roff.fill(roff.inline(OPENING)), ".PP"]
    lines += from_markdown(make_reference(find(REGISTRY)(PluginSettings())))
    lines += [roff.section("example"), *roff.verbatim(EXAMPLE.splitlines())]
    lines += [roff.section("files"), *roff.tagged(roff.bold(SYSTEM_FILE), "read without `-c`, as etc/meshd.yaml is.")]
    return roff.render([*lines, roff.section("see also"), *roff.fill(roff.inline(SEE_ALSO))])


def from_markdown(page: str) -> Iterator[str]:
    """Yield the roff of a page with headings, paragraphs, bullets, and tables, which become lists."""
    after_heading = True
    for block in _blocks(page):
        first = block[0]
        if first.startswith("<!--"):
            continue
        if first.startswith("#"):
            yield _heading(first)
            after_heading = True
            continue
        if first.startswith("|"):
            yield from (line for row in block[2:] for line in _row(row, first == KEY_ROW))
        elif first.startswith("* "):
            yield from (line for bullet in _bullets(block) for line in _bullet(bullet))
        else:
            yield from ([] if after_heading else [".PP"])
            yield from roff.fill(roff.inline(" ".join(block)))
        after_heading = False


def _blocks(page: str) -> Iterator[list[str]]:
    """Yield what blank lines part; a heading is a block of its own, and the title is left out."""
    for block in re.split(r"\n{2,}", re.sub(r"(?m)^(#.*)$", r"\n\1\n", page)):
        lines = block.strip().splitlines()
        if lines and not lines[0].startswith("# "):
            yield lines


def _heading(line: str) -> str:
    marks, _, title = line.partition(" ")
    title = title.replace("`", "")
    return roff.section(title) if len(marks) == 2 else roff.subsection(title)


def _row(line: str, is_key: bool) -> list[str]:
    cells = [cell.strip().replace("\\|", "|") for cell in CELL.split(line)[1:-1]]
    if not is_key:
        return roff.tagged(roff.inline(cells[0]), cells[1])
    key, value, default, text = cells
    remark = {"required": "required", "": ""}.get(default, f"default: {default}")
    about = "; ".join(filter(None, (value, remark)))
    return roff.tagged(f"{roff.inline(key)} ({roff.inline(about)})", text)


def _bullets(block: list[str]) -> Iterator[str]:
    text = " ".join(line.strip() for line in block)
    yield from (bullet for bullet in re.split(r"(?:^| )\* (?=\*\*)", text) if bullet)


def _bullet(text: str) -> list[str]:
    found = re.match(r"(\*\*.+?\*\*): (.*)", text)
    return roff.tagged(roff.inline(found[1]), found[2]) if found else [".IP \\(bu 2", *roff.fill(roff.inline(text))]
