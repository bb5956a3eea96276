-- Takes tokens that an answer has used, whether they are there or not.
--
-- KEYS: the theoretical arrival time of tokens
-- ARGV: tokens a minute, tokens used
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
due = due + 60000000 / ARGV[1] * ARGV[2]
-- A debt of more than a day is forgotten after one.
local kept = math.min(math.ceil((due - now) / 1000) + 1, 86400000)
redis.call('SET', KEYS[1], string.format('%.2f', due), 'PX', kept)
return {}
