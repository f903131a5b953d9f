With `waiting_page` of an app a browser that waits for its start for three seconds sees a page that says so and goes on by itself; programs and scripts wait as before.
