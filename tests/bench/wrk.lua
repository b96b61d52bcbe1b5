-- Closed loop: what was answered, and how long each answer took, as one line of JSON at the end. No function is called
-- per answer, so that the load generator stays cheap; wrk itself looks at each status, and the sum of bytes shows
-- whether each answer was as long as it must be.
local body = os.getenv("BENCH_BODY_BYTES")
if body then
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = string.rep("x", tonumber(body))
end

function done(summary, latency, requests)
  local errors = summary.errors
  local times = {}
  for i = 1, #latency do
    local value, count = latency(i)
    times[i] = string.format("[%d,%d]", value, count)
  end
  print(string.format('\n{"requests":%d,"bytes":%d,"microseconds":%d,"errors":%d,"times":[%s]}', summary.requests, summary.bytes,
    summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout, table.concat(times, ",")))
end
