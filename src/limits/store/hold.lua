-- Says how many requests run at one place: whenever that changes, and now and
-- then, so that it is believed.
--
-- KEYS: who runs how many
-- ARGV: who, how many, how long that is believed (ms)
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return {}
end
local time = redis.call('TIME')
local believed = time[1] * 1000000 + time[2] + ARGV[3] * 1000
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %.0f', ARGV[2], believed))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {}
