-- Browser headers with a query and a cookie that differ from request to request: no two are alike.
local requests = {}
local turn = 0

function init(args)
  for n = 1, 5000 do
    wrk.headers["Cookie"] = string.format("session=%032x; theme=dark", n * 7919)
    requests[n] = wrk.format("GET", string.format("/hello?n=%d", n))
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
