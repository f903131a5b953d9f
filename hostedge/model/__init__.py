"""The values of the route store and their validation; pure."""
