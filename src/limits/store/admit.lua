-- Counts a request in, if it may run: src/limits/tally.rs, over several hosts.
-- Times are in microseconds, of this server's clock alone.
--
-- KEYS: theoretical arrival times of requests and of tokens; who runs how many
-- ARGV: requests and tokens a minute, running at most (0: no such limit);
--       who asks, how many run there with this one, how long that is believed (ms)
-- Gives: 0 or the limit that it is over (1 requests, 2 tokens, 3 running), the
--        time to wait, the times until all requests and all tokens are back
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local minute = 60000000
local requests, tokens, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function due(key)
  return math.max(now, tonumber(redis.call('GET', key) or now))
end
local requests_due, tokens_due = due(KEYS[1]), due(KEYS[2])

local function over(limit, wait)
  return {limit, math.ceil(wait), math.ceil(requests_due - now), math.ceil(tokens_due - now)}
end

if tokens > 0 then
  local wait = tokens_due + minute / tokens - minute - now
  if wait > 1 then return over(2, wait) end
end

if most > 0 then
  local running = tonumber(ARGV[5])
  local others = redis.call('HGETALL', KEYS[3])
  for at = 1, #others, 2 do
    if others[at] ~= ARGV[4] then
      local count, believed = string.match(others[at + 1], '(%d+) (%d+)')
      if tonumber(believed) > now then
        running = running + tonumber(count)
      else
        redis.call('HDEL', KEYS[3], others[at])
      end
    end
  end
  if running > most then return over(3, 1000000) end
end

if requests > 0 then
  local wait = requests_due + minute / requests - minute - now
  if wait > 1 then return over(1, wait) end
  requests_due = requests_due + minute / requests
  local kept = math.ceil((requests_due - now) / 1000) + 1
  redis.call('SET', KEYS[1], string.format('%.2f', requests_due), 'PX', kept)
end

if most > 0 then
  local believed = now + ARGV[6] * 1000
  redis.call('HSET', KEYS[3], ARGV[4], string.format('%d %.0f', ARGV[5], believed))
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
end
return over(0, 0)
