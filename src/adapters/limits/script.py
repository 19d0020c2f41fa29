"""What Redis does for a batch of hits, in one step that nothing comes between.

A key is the list of the times of its hits, in microseconds, first come first. A time is that of Redis, so that the clocks of the workers
do not matter. Where that clock is set back, a hit counts for as long as those before it; set back by more than a window, it begins anew.
"""

from application.ports import Hit, Limit

# KEYS: those hit. ARGV: for each, the amount and the window in microseconds. An amount of 0 gives the oldest hit back.
# Answers for each: whether it was granted, how many more would be, and in how many microseconds the oldest is forgotten.
# A key is kept a second longer than it counts: Redis forgets keys by the millisecond, hits count by the microsecond.
HIT = """
local clock = redis.call('TIME')
local answers = {}
for i, key in ipairs(KEYS) do
    local amount, span = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local now = clock[1] * 1000000 + clock[2]
    local newest = tonumber(redis.call('LINDEX', key, -1) or now)
    if newest - now > span then
        redis.call('DEL', key)
    end
    local oldest = tonumber(redis.call('LINDEX', key, 0) or now)
    while oldest <= now - span do
        redis.call('LPOP', key)
        oldest = tonumber(redis.call('LINDEX', key, 0) or now)
    end
    if amount == 0 then
        redis.call('LPOP', key)
    end
    local count = redis.call('LLEN', key)
    local granted = 0
    if count < amount then
        granted, count = 1, count + 1
        redis.call('RPUSH', key, string.format('%.0f', now))
        redis.call('PEXPIRE', key, math.ceil(span / 1000) + 1000)
    end
    answers[i] = {granted, amount - count, oldest + span - now}
end
return answers
"""

_MICRO = 1_000_000


def asked_for(limit: Limit) -> tuple[int, int]:
    """The arguments of the script for a hit."""
    return limit.amount, limit.seconds * _MICRO


def told(answer: list[int]) -> Hit:
    """What the script answers for a hit."""
    granted, remaining, reset_after = answer
    return Hit(granted=granted == 1, remaining=remaining, reset_after=reset_after / _MICRO)
