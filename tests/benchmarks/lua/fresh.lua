-- Browser headers with a query and a cookie that differ from request to request: no two are alike.
local before, between, after
local turn = 0

function init(args)
  wrk.headers["Cookie"] = "session=0123456789abcdef\2; theme=dark"
  before, between, after = wrk.format("GET", "/fresh?n=\1"):match("^(.*)\1(.*)\2(.*)$")
end

function request()
  turn = turn + 1
  local number = string.format("%016x", turn * 7919)
  return before .. turn .. between .. number .. after
end
