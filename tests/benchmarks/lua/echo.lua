-- 1 KiB POST, echoed back.
wrk.method = "POST"
wrk.headers["Content-Type"] = "text/plain"
wrk.body = string.rep("abcdefgh", 128)
