"""Small helpers around Qt: logging categories, snake_case names, header lists."""
