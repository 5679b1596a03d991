-- Every key of the chosen database as one line: name, type, expiry, SHA-1 of what it holds.
-- What it holds is asked by each type's own commands, in an order that is the same on every server.
local function pairs_in_order(flat)
	local lines = {}
	for i = 1, #flat, 2 do
		lines[#lines + 1] = #flat[i] .. ':' .. flat[i] .. flat[i + 1]
	end
	table.sort(lines)
	return lines
end
local function in_order(list)
	table.sort(list)
	return list
end
local reads = {
	string = function(k) return {redis.call('GET', k)} end,
	list = function(k) return redis.call('LRANGE', k, 0, -1) end,
	set = function(k) return in_order(redis.call('SMEMBERS', k)) end,
	zset = function(k) return redis.call('ZRANGE', k, 0, -1, 'WITHSCORES') end,
	hash = function(k) return pairs_in_order(redis.call('HGETALL', k)) end,
	stream = function(k)
		return {cjson.encode(redis.call('XRANGE', k, '-', '+')), cjson.encode(redis.call('XINFO', 'GROUPS', k))}
	end,
}
local lines = {}
for _, key in ipairs(in_order(redis.call('KEYS', '*'))) do
	local kind = redis.call('TYPE', key).ok
	local held = ''
	for _, item in ipairs(reads[kind](key)) do
		held = held .. #item .. ':' .. item
	end
	lines[#lines + 1] = key .. ' ' .. kind .. ' ' .. redis.call('PEXPIRETIME', key) .. ' ' .. redis.sha1hex(held)
end
return lines
