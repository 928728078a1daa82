local call, key = redis.call, KEYS[1]
local kind = call('GETRANGE', key, 1, 1):byte()
if kind and kind < 16 then
  call('SETRANGE', key, 10, ARGV[1])
  call('PEXPIRE', key, ARGV[2])
end
return 1
