"""
How pages of the node itself begin, so that they look alike.

In:  `http.refusal` and `http.waiting_page`.
Out: HTML up to the first rule that is a page's own; `str.format` fills in the `title`.
"""

TOP = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root{{color-scheme:light dark;--ink:#1b1f24;--soft:#5c6570;--line:#d9dee4;--page:#fbfbfa}}
@media(prefers-color-scheme:dark){{:root{{--ink:#e8eaed;--soft:#9aa3ad;--line:#363c44;--page:#16191d}}}}
*{{margin:0}}
body{{min-height:100vh;display:grid;place-items:center;background:var(--page);color:var(--ink);
font:1.0625rem/1.6 system-ui,sans-serif}}
main{{width:min(30rem,100vw - 3rem);padding:3rem 0}}
"""
