-- Browser headers and a query that differs from request to request.
local before, after
local turn = 0

function init(args)
  before, after = wrk.format("GET", "/hello?n=\1"):match("^(.*)\1(.*)$")
end

function request()
  turn = turn + 1
  return before .. turn .. after
end
