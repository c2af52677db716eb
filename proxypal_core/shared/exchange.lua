-- One exchange of a replica: tells a Report, returns News (shared/state.py), both as JSON.
-- KEYS[1]: what all keys begin with. ARGV: the report, and the numbers of shared/state.py.
local prefix, report = KEYS[1], cjson.decode(ARGV[1])
local ALIVE, BINDINGS, PAGE, KEPT = tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local clock = redis.call('TIME')
local second = tonumber(clock[1])
local now = second + clock[2] / 1000000
local news = {now = now, known = {}, used = {}, in_flight = {}, bound = {}}

local function key(name) return prefix .. name end

local function rows(name)
  local flat, found = redis.call('HGETALL', key(name)), {}
  for at = 1, #flat, 2 do found[flat[at]] = flat[at + 1] end
  return found
end

-- Who is there, and what they have in flight: totals are kept, not summed up each time.
local function set_in_flight(replica, told)
  local before = rows('in_flight:' .. replica)
  for account, number in pairs(before) do
    if told[account] == nil then told[account] = 0 end
  end
  for account, number in pairs(told) do
    local more = number - tonumber(before[account] or 0)
    if more ~= 0 then
      redis.call('HSET', key('in_flight:' .. replica), account, number)
      if redis.call('HINCRBY', key('in_flight'), account, more) <= 0 then
        redis.call('HDEL', key('in_flight'), account)
      end
    end
    if number == 0 then redis.call('HDEL', key('in_flight:' .. replica), account) end
  end
end

redis.call('ZADD', key('replicas'), now, report.replica)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', key('replicas'), '-inf', now - ALIVE)) do
  set_in_flight(gone, {})
  redis.call('ZREM', key('replicas'), gone)
end
set_in_flight(report.replica, report.in_flight)
for account, number in pairs(rows('in_flight')) do news.in_flight[account] = tonumber(number) end
news.replicas = redis.call('ZCARD', key('replicas'))

-- Amounts of a report that was sent twice are counted once.
local counted = redis.call('HMGET', key('counted:' .. report.replica), 'number', 'at')
local fresh = report.number > tonumber(counted[1] or 0)
news.counted_at = fresh and second or tonumber(counted[2])
if fresh then
  redis.call('HSET', key('counted:' .. report.replica), 'number', report.number, 'at', second)
  for field, amount in pairs(report.usage) do
    redis.call('HINCRBYFLOAT', key('usage:' .. report.day), field, amount)
  end
  redis.call('EXPIRE', key('usage:' .. report.day), 100 * 86400)
end
redis.call('EXPIRE', key('counted:' .. report.replica), 3600)

-- Client keys: what was taken by the second of the last minute, and spent in the month.
local function window(name, amount)
  if fresh and amount > 0 then redis.call('HINCRBY', key(name), second, amount) end
  local found = {}
  for at, taken in pairs(rows(name)) do
    if tonumber(at) <= second - 61 then
      redis.call('HDEL', key(name), at)
    else
      found[at] = tonumber(taken)
    end
  end
  redis.call('EXPIRE', key(name), 70)
  return found
end

local month = 'spent:' .. report.month
for name, used in pairs(report.used) do
  local spent = math.max(tonumber(redis.call('HGET', key(month), name) or 0), used.seen)
  if fresh then spent = spent + used.usd end
  redis.call('HSET', key(month), name, string.format('%.9f', spent))
  redis.call('EXPIRE', key(month), 40 * 86400)
  news.used[name] = {
    requests = window('requests:' .. name, used.requests),
    tokens = window('tokens:' .. name, used.tokens),
    spent = spent,
  }
end

-- Rests: the longest counts, whoever told it.
local function merged(old, new)
  local latest = old.failed_at > new.failed_at and old or new
  local longest = new
  if old.rests_until > new.rests_until
      or (old.rests_until == new.rests_until and old.reason > new.reason) then
    longest = old
  end
  for ladder, count in pairs(old.counts) do
    local other = new.counts[ladder]
    if other == nil or count.at > other.at
        or (count.at == other.at and count.failures > other.failures) then
      new.counts[ladder] = count
    end
  end
  return {
    reason = longest.reason,
    failed_at = latest.failed_at,
    rests_until = longest.rests_until,
    barred_until = math.max(old.barred_until, new.barred_until),
    counts = new.counts,
  }
end

local changed = false
for name, health in pairs(report.rests) do
  local there = redis.call('HGET', key('rests'), name)
  if there then health = merged(cjson.decode(there), health) end
  redis.call('HSET', key('rests'), name, cjson.encode(health))
  changed = true
end
for name, till in pairs(report.cleared) do
  local there = redis.call('HGET', key('rests'), name)
  if there and cjson.decode(there).failed_at <= till then
    redis.call('HDEL', key('rests'), name)
    changed = true
  end
end
if changed then redis.call('INCR', key('rests_version')) end
news.known.rests = tonumber(redis.call('GET', key('rests_version')) or 0)
if news.known.rests ~= report.known.rests then
  news.rests = {}
  for name, text in pairs(rows('rests')) do
    local health = cjson.decode(text)
    if math.max(health.failed_at + KEPT, health.rests_until) < now then
      redis.call('HDEL', key('rests'), name)
    else
      news.rests[name] = health
    end
  end
end

-- Conversations that moved.
for _, binding in ipairs(report.bound) do
  redis.call('XADD', key('bound'), 'MAXLEN', '~', BINDINGS, '*', 'row', cjson.encode(binding))
end
local since = report.known.bindings
local page = redis.call(
  'XRANGE', key('bound'), since == '' and '-' or '(' .. since, '+', 'COUNT', PAGE)
for at, entry in ipairs(page) do
  news.bound[at] = cjson.decode(entry[2][2])
  since = entry[1]
end
news.known.bindings = since
if #news.bound == 0 then news.bound = nil end

redis.call('SET', key('epoch'), report.replica .. '@' .. clock[1] .. '.' .. clock[2], 'NX')
news.epoch = redis.call('GET', key('epoch'))
news.records = tonumber(redis.call('GET', key('records_version')) or 0)
if report.urgent then redis.call('PUBLISH', key('nudge'), report.replica) end
return cjson.encode(news)
