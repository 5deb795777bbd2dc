-- wrk's requests and its report.
-- Argument: a file with four lines a request: method, path, Authorization and body,
-- "-" for none. Each request is the next one of the list.
local requests, at = {}, 0

function init(args)
  local fields = {}
  for line in io.lines(args[1]) do
    fields[#fields + 1] = line
    if #fields == 4 then
      local method, path, authorization, body = unpack(fields)
      local headers = {}
      if authorization ~= "-" then headers["Authorization"] = authorization end
      if body == "-" then body = nil else headers["Content-Type"] = "application/json" end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
      fields = {}
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"duration_us":%d,"bytes":%d,"bad":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
