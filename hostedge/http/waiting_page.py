"""
The page that a browser shows while an app starts.

In:  `http.refusal`, for the cause `starting`.
Out: HTML that needs nothing else, and the field that has the browser come again.

It is the field `Refresh` that does it, no script and no address to be polled: it works with a
site's own page as well, and is no matter of a content policy. The browser asks for the page itself,
is held for some seconds as before, and gets the app's answer the moment that there is one; until an
answer comes it goes on showing this. When the start has failed the answer is a page that asks for
nothing.
"""

from __future__ import annotations

import math

from hostedge.http.look import TOP

# seconds for which a browser is held, for it may be all that is needed
HELD = 3.0
# seconds after which it comes again
REFRESH = 2

_PAGE = (
    TOP
    + """i{{display:block;height:3px;border-radius:3px;background:var(--line);overflow:hidden}}
i:before{{content:"";display:block;width:30%;height:100%;border-radius:3px;background:var(--ink);
animation:go 2s ease-in-out infinite alternate}}
@keyframes go{{from{{margin-left:0}}to{{margin-left:70%}}}}
@media(prefers-reduced-motion){{i:before{{animation:none;width:100%;opacity:.3}}}}
h1{{font:300 2.25rem/1.2 system-ui,sans-serif;letter-spacing:-.02em;margin:1.75rem 0 .75rem}}
p,small{{color:var(--soft)}}
small{{display:block;margin-top:2rem;font-size:.8125rem}}
code{{font-family:ui-monospace,monospace;user-select:all;overflow-wrap:anywhere}}
</style>
<main role="status">
<i></i>
<h1>{title}</h1>
<p>It has to start before it can answer. {how_long} The page opens by itself.</p>
<small>Request <code>{id}</code></small>
</main>
</html>
"""
)


def waiting_page(title: str, request_id: str, left: float | None) -> str:
    """Put it together; `left`: seconds until the start should be over, None: nobody knows."""
    if left is None:
        how_long = "That usually takes a few seconds."
    elif left < 2:
        how_long = "It should be there any moment."
    else:
        how_long = f"That should take about {math.ceil(left)} seconds."
    return _PAGE.format(title=title, how_long=how_long, id=request_id)
