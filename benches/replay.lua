-- Replays whole requests, byte for byte, from a file written by scripts/bench.
-- The file is a run of frames: the length in decimal, a newline, that many bytes. A second argument
-- is how many milliseconds a connection waits before its next request.

local requests, turn = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
  assert(#requests > 0, "the file of requests is empty")
  local pause = tonumber(arguments[2]) or 0
  if pause > 0 then
    function delay() return pause end
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

-- One line that scripts/bench reads: requests, microseconds, answers that were not 2xx or 3xx,
-- socket errors, and the latency percentiles 50 and 99 in microseconds.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("REPLAYED %d %d %d %d %d %d\n", summary.requests, summary.duration,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
