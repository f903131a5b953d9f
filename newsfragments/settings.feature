Every setting stands in docs/settings.md.
