"""A real browser draws the page: no error, no request, and nothing wider than the window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
    ),
]
# Written into a copy of the page: measures it in a frame of each width, then shows the result as text.
MEASURE = """
<!doctype html><body><pre id="found"></pre><script>
const frame = document.createElement("iframe");
const found = {};
const widths = [1400, 390];
const next = () => {
  const width = widths.shift();
  if (!width) { document.getElementById("found").textContent = JSON.stringify(found); return; }
  frame.style.width = width + "px";
  frame.contentDocument.documentElement.getBoundingClientRect();
  const page = frame.contentDocument;
  const shown = (kind) => [...page.querySelectorAll("figure ." + kind + " svg")]
    .filter((svg) => svg.getBoundingClientRect().width > 0);
  found[width] = {
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    wide: shown("wide").length, narrow: shown("narrow").length,
    loaded: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  next();
};
frame.style.cssText = "border:0;height:900px;width:1400px";
frame.onload = next;
frame.srcdoc = PAGE;
document.body.append(frame);
</script></body>
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here"),
]


def browse(url: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", "--enable-logging=stderr", *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_page_is_drawn_without_an_error(page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    done = browse(page.as_uri(), tmp_path / "profile", "--window-size=1400,3000", f"--screenshot={picture}")
    assert done.returncode == 0, done.stderr
    assert picture.stat().st_size > 50_000
    assert not re.search(r":CONSOLE", done.stderr), done.stderr


def test_the_page_fits_a_desktop_and_a_phone(page: Path, tmp_path: Path) -> None:
    source = json.dumps(page.read_text(encoding="utf-8")).replace("</", "<\\/")
    (tmp_path / "measure.html").write_text(MEASURE.replace("PAGE", source), encoding="utf-8")
    url = (tmp_path / "measure.html").as_uri()
    done = browse(url, tmp_path / "profile", "--dump-dom", "--virtual-time-budget=5000")
    match = re.search(r'<pre id="found">(.+?)</pre>', done.stdout)
    assert match, done.stderr
    found = json.loads(html.unescape(match.group(1)))
    assert found["1400"] == {"overflow": 0, "wide": 4, "narrow": 0, "loaded": []}
    assert found["390"] == {"overflow": 0, "wide": 0, "narrow": 4, "loaded": []}
