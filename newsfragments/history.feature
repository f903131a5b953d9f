`hostedge changes`, `diff` and `undo` show and put back what was changed, and by whom; `hostedge explain URL --at` tells what a request would have met at an earlier revision or time.
