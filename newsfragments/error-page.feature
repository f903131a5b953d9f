The error page has a look, light and dark, and says what a visitor can do; programs get problem details (RFC 9457); what passes by itself says when (`Retry-After`).
