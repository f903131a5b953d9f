`enabled: false` of an app: its paths answer 503 `disabled`, with the site's own page if it has one; files beside it are served as before.
