-- A small JSON object in, another out.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"name": "sensor", "values": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "unit": "mm", "valid": true}'
