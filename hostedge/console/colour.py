"""
Python in colours, as it is typed.

In:  the terminal, each time it draws the line.
Out: the last line of a source; without its colours it is what it was, whole or not.
"""

from __future__ import annotations

import io
import keyword
import tokenize

# SGR: green, magenta, cyan, grey
_KEYWORD, _STRING, _NUMBER, _COMMENT = 32, 35, 36, 90
_KINDS = {tokenize.STRING: _STRING, tokenize.NUMBER: _NUMBER, tokenize.COMMENT: _COMMENT}


def coloured(source: str) -> str:
    """The last line of it, with what the tokenizer knows in colours."""
    lines = source.split("\n")
    number, line = len(lines), lines[-1]
    pieces: list[str] = []
    at = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            colour = _KEYWORD if keyword.iskeyword(token.string) else _KINDS.get(token.type)
            if colour is None or token.end[0] != number:
                continue
            begins = token.start[1] if token.start[0] == number else 0
            end = token.end[1]
            pieces += [line[at:begins], f"\x1b[{colour}m{line[begins:end]}\x1b[0m"]
            at = end
    except (tokenize.TokenError, SyntaxError):
        # it is not whole yet; what was found until there stands
        pass
    return "".join(pieces) + line[at:]
