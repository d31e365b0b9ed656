"""The works: what each asks of the servers, what of it is shown, and the goals that linechat set itself.

Only tables: nothing here measures or decides.
"""

import dataclasses

ALL = ["memory", "disk", "redis", "nats", "mosquitto", "inspircd", "ngircd", "floor"]
# ngIRCd admits some tens of users a second, so that it is measured in small channels only.
LARGE = [kind for kind in ALL if kind != "ngircd"]
CONNECTIONS_HELD = [100, 1000, 5000, 10000]
CHANNEL_SIZES = [10, 100, 1000, 10000]
LISTED = [100, 300, 1000, 3000, 10000]
STORED = [10_000, 100_000, 300_000, 1_000_000]


@dataclasses.dataclass(frozen=True)
class Column:
    """A measured number: its key, what people call it, its unit (`count`, `us`, `ms`, `kib`, `percent`) and which is better."""

    key: str
    label: str
    unit: str
    more_is_better: bool = False
    versus: str = ""


DELIVERIES = Column("deliveries_a_second_per_s", "deliveries a second", "count", True, "the deliveries")
MESSAGES = Column("messages_a_second_per_s", "messages a second", "count", True, "the messages")
CPU = Column("processor_per_delivery_us", "CPU per delivery", "us", versus="the CPU")
CPU_OF_MESSAGE = Column("processor_per_delivery_us", "CPU per message", "us", versus="the CPU")
P50 = Column("latency_p50_us", "latency p50", "us", versus="the latency")
P99 = Column("latency_p99_us", "p99", "us", versus="the p99")
P999 = Column("latency_p99_9_us", "p99.9", "us", versus="the p99.9")
LATE = Column("sent_late_p90_us", "sent late, p90", "us")
ALL_HAVE_IT = Column("all_have_it_p50_us", "until all have it, p50", "us", versus="the time")
ALL_HAVE_IT_MAX = Column("all_have_it_max_us", "slowest", "us", versus="the slowest")
MEMORY_EACH = Column("memory_each_kib", "memory per connection", "kib", versus="the memory")
IDLE_CPU = Column("processor_while_idle_percent", "CPU while idle", "percent")
VISITS = Column("visits_a_second_per_s", "visits a second", "count", True, "the visits")
CPU_EACH = Column("processor_each_us", "CPU per visit", "us", versus="the CPU")
JOIN = Column("join_us", "JOIN", "us")
LIST = Column("list_us", "LIST", "us")
LIST_CHANNEL = Column("list_channel_us", "LIST #channel", "us")
SERVING = Column("serving_ms", "boot until serving", "ms")
SERVING_UNCACHED = Column("serving_uncached_ms", "the same, store not in the system's cache", "ms")


@dataclasses.dataclass(frozen=True)
class Goal:
    """`ours` in `column` at least or at most so many times `of` (a server, or "best peer"); without `of`, the number itself.
    `fsyncs` are added to what it is compared with. `growth` compares the largest size with the smallest instead: `flat` or
    `linear`, from size `since` on."""

    text: str
    ours: str
    column: Column
    at_least: float | None = None
    at_most: float | None = None
    of: str | None = None
    fsyncs: int = 0
    growth: str | None = None
    since: int = 0


@dataclasses.dataclass(frozen=True)
class Work:
    """What is asked of which servers. `runs` says by which program; `points` are the sizes at which it is repeated, which
    `{at}` in the arguments stands for. A load that `gives_way` shares its core with the server."""

    slug: str
    title: str
    about: str
    arguments: list
    servers: list
    columns: list
    goals: list
    runs: str = "load"
    points: tuple = (None,)
    of_what: str = ""
    needs_fsync: bool = False
    half_of_best: bool = False
    gives_way: bool = False


WORKS = [
    Work("channel-100", "A channel of 100",
         "100 connections in one channel, 4 of them send, 64 messages in flight. A delivery is one message at one receiver. "
         "InspIRCd leaves Nagle's algorithm on: here it mostly waits, up to 40 ms, for the receivers' acknowledgements.",
         ["fanout", "--connections", "100", "--in-flight", "64"], ALL, [DELIVERIES, CPU, P50, P99],
         [Goal("deliveries a second, memory: at least 2 x Redis", "memory", DELIVERIES, at_least=2, of="redis"),
          Goal("CPU per delivery, memory: at most half of Redis", "memory", CPU, at_most=0.5, of="redis"),
          Goal("deliveries a second, disk: at least 1.5 x Redis", "disk", DELIVERIES, at_least=1.5, of="redis")]),
    Work("channel-5000", "A channel of 5,000",
         "5,000 connections in one channel, 4 of them send, 4 messages in flight.",
         ["fanout", "--connections", "5000", "--in-flight", "4"], LARGE, [DELIVERIES, CPU, P50, P99],
         [Goal("deliveries a second, memory: at least 3 x Redis", "memory", DELIVERIES, at_least=3, of="redis"),
          Goal("CPU per delivery, memory: less than the floor", "memory", CPU, at_most=1, of="floor")]),
    Work("one-at-a-time", "A channel of 100, one message at a time",
         "The next message is sent when everybody has the last one: nothing can be batched.",
         ["fanout", "--connections", "100", "--senders", "1", "--in-flight", "1"], ALL, [P50, CPU, P99, DELIVERIES],
         [Goal("CPU per delivery, memory: at most 1.15 x the floor", "memory", CPU, at_most=1.15, of="floor"),
          Goal("latency p50, disk: at most the floor's and 3 fsyncs", "disk", P50, at_most=1, of="floor", fsyncs=3)],
         needs_fsync=True),
    Work("pairs", "1,000 users in pairs",
         "Each writes to its neighbour and is written to, 8 messages in flight each. linechat also answers each message with an "
         "OK, which the others do not.",
         ["direct", "--connections", "1000", "--in-flight", "8000"], ["memory", "disk", "nats", "mosquitto", "inspircd"],
         [MESSAGES, CPU_OF_MESSAGE, P50, P99],
         [Goal("messages a second, memory: at least 1.2 x InspIRCd", "memory", MESSAGES, at_least=1.2, of="inspircd"),
          Goal("messages a second, disk: at least InspIRCd", "disk", MESSAGES, at_least=1, of="inspircd")]),
    Work("durable", "Messages that survive a power cut",
         "500 connections, 8 messages in flight each; a message counts when it is on the disk. linechat (64 bytes, in pairs) also "
         "shows it to its receiver; Redis Streams (`XADD` of 80 bytes, `appendfsync always`) answers it and shows it to nobody.",
         ["direct", "--connections", "500", "--in-flight", "4000"], ["disk", "streams"], [MESSAGES, CPU_OF_MESSAGE, P50, P99],
         [Goal("messages a second, disk: at least 1.5 x Redis Streams", "disk", MESSAGES, at_least=1.5, of="streams")],
         needs_fsync=True),
    Work("durable-pairs", "Messages that survive a power cut, and are read",
         "500 users in pairs, 8 messages in flight each; a message counts when its receiver has it. With Redis Streams each user has "
         "a stream of its own and two connections: one writes to the neighbour's stream (`XADD`, `appendfsync always`), the other "
         "reads its own from where it was (`XREAD BLOCK`).",
         ["direct", "--connections", "500", "--in-flight", "4000"], ["disk", "stream-readers"], [MESSAGES, CPU_OF_MESSAGE, P50, P99],
         [Goal("messages a second, disk: at least 1.5 x Redis Streams", "disk", MESSAGES, at_least=1.5, of="stream-readers")],
         needs_fsync=True),
    Work("durable-channel", "A channel of 100 readers, on the disk",
         "Each message has 100 readers, 4 connections send, 64 messages in flight. linechat shows a message when it is synced to the "
         "disk. Redis Streams (`appendfsync always`) too: one stream, which each reader reads from where it was (`XREAD BLOCK`). NATS "
         "JetStream promises less: its stream is in a file, but it answers and delivers before that is synced, which 2.9 does every "
         "two minutes and not otherwise, so that messages survive `kill -9` and not a power cut; a consumer pushes them to each "
         "reader, which acknowledges nothing. Those who send to these two are 4 connections more.",
         ["fanout", "--connections", "101", "--in-flight", "64"], ["disk", "stream-readers", "jetstream"],
         [DELIVERIES, CPU, P50, P99],
         [Goal("deliveries a second, disk: at least 3 x Redis Streams", "disk", DELIVERIES, at_least=3, of="stream-readers"),
          Goal("deliveries a second, disk: at least 3 x JetStream", "disk", DELIVERIES, at_least=3, of="jetstream")],
         needs_fsync=True),
    Work("idle", "10,000 idle connections",
         "10,000 connections, logged in and in one channel, that say nothing.",
         ["idle", "--connections", "10000"], ["memory", "disk", "redis", "nats", "mosquitto", "inspircd"],
         [MEMORY_EACH, IDLE_CPU],
         [Goal("memory per connection: at most 2.5 KiB", "memory", MEMORY_EACH, at_most=2.5),
          Goal("no CPU", "memory", IDLE_CPU, at_most=0)]),
    Work("connect", "Connect and leave",
         "20 at a time, again and again. linechat: connect, HELLO, JOIN, QUIT. Redis: connect, PING, QUIT. Mosquitto: CONNECT, "
         "SUBSCRIBE, DISCONNECT.",
         ["connect", "--connections", "20"], ["memory", "disk", "redis", "mosquitto"], [VISITS, CPU_EACH],
         [Goal("CPU per visit, memory: at most 1.5 x Redis", "memory", CPU_EACH, at_most=1.5, of="redis"),
          Goal("visits a second, memory: at least 10,000", "memory", VISITS, at_least=10_000)]),
    Work("open-loop", "A channel of 100 at a given rate",
         "4 of 100 connections send at half of the rate that the best peer reached just before, whatever happens; latencies count "
         "from when a message was due.",
         ["fanout", "--connections", "100", "--rate", "{rate}"], ALL, [P50, P99, P999, CPU],
         [Goal("p99, memory: no worse than the best peer", "memory", P99, at_most=1, of="best peer"),
          Goal("p99.9, memory: no worse than the best peer", "memory", P999, at_most=1, of="best peer")], half_of_best=True),
    Work("two-cores", "A channel of 100 at a given rate, on one core and on two",
         "4 of 100 connections send 1,000 messages a second together, in turns, whatever happens. Each message goes out alone, in "
         "100 sends, and a core is half idle: what a delivery costs more on two cores is threads that wake each other and data "
         "that moves, not smaller batches. The server has core 0, or both cores. The load has core 1 each time, and gives way there (`chrt --idle`): it runs while the server does not want that "
         "core, which looks free to the server, as where clients are on other machines. Where it could not send on time the run "
         "fails.",
         ["fanout", "--connections", "100", "--rate", "1000"], ["memory", "memory-two", "disk", "disk-two"],
         [CPU, P50, P99, LATE],
         [Goal("CPU per delivery, memory: on two cores at most 1.15 x one core", "memory-two", CPU, at_most=1.15, of="memory"),
          Goal("CPU per delivery, disk: on two cores at most 1.15 x one core", "disk-two", CPU, at_most=1.15, of="disk")],
         gives_way=True),
    Work("crowd", "19,000 connections in one channel",
         "One sends, the next message when everybody has the last one. 20,000 descriptors is what these machines give a process. "
         "The IRC daemons are not here: they tell everybody of each who joins, 180 million times.",
         ["fanout", "--connections", "19000", "--senders", "1", "--in-flight", "1"], [kind for kind in LARGE if kind != "inspircd"],
         [ALL_HAVE_IT, ALL_HAVE_IT_MAX, CPU],
         [Goal("even the slowest message, memory, reaches all in 150 ms", "memory", ALL_HAVE_IT_MAX, at_most=150_000)]),
    Work("tls", "A channel of 100, over TLS",
         "100 who read, 4 who send, 64 messages in flight, all of them over TLS 1.3 (AES-256-GCM) with the same kind of certificate "
         "(ECDSA P-256); with Redis those who send are 4 connections more. The load decrypts every delivery once, whoever sent it, "
         "and is often what limits the deliveries: the CPU is the server's own.",
         ["fanout", "--connections", "100", "--in-flight", "64"], ["memory-tls", "redis-tls", "memory"], [DELIVERIES, CPU, P50, P99],
         [Goal("deliveries a second, memory, TLS: at least Redis with TLS", "memory-tls", DELIVERIES, at_least=1, of="redis-tls"),
          Goal("CPU per delivery, memory, TLS: at most Redis with TLS", "memory-tls", CPU, at_most=1, of="redis-tls")]),
    Work("tls-idle", "1,000 idle connections, over TLS",
         "1,000 connections, logged in and in one channel, that say nothing.",
         ["idle", "--connections", "1000"], ["memory-tls", "redis-tls"], [MEMORY_EACH, IDLE_CPU],
         [Goal("memory per connection with TLS: at most 16 KiB", "memory-tls", MEMORY_EACH, at_most=16)]),
    Work("tls-connect", "Connect and leave, over TLS",
         "20 at a time, again and again, each with a whole handshake: no session is taken up again. Then as without TLS.",
         ["connect", "--connections", "20"], ["memory-tls", "redis-tls", "memory"], [VISITS, CPU_EACH],
         [Goal("CPU per visit, memory, TLS: at most Redis with TLS", "memory-tls", CPU_EACH, at_most=1, of="redis-tls")]),
    Work("growth-channel", "As a channel grows",
         "A channel of so many, 4 of them send, 16 messages in flight.",
         ["fanout", "--connections", "{at}", "--in-flight", "16"], ["memory", "disk", "redis", "floor"], [CPU],
         [Goal("CPU per delivery, memory: flat or falling", "memory", CPU, growth="flat"),
          Goal("CPU per delivery, disk: flat or falling", "disk", CPU, growth="flat")],
         points=tuple(CHANNEL_SIZES), of_what="members"),
    Work("growth-memory", "As connections grow",
         "So many idle connections in one channel.",
         ["idle", "--connections", "{at}"], ["memory", "redis"], [MEMORY_EACH],
         # A server's first hundred connections also pay for its first buffers.
         [Goal("memory per connection: flat from 1,000 on", "memory", MEMORY_EACH, growth="flat", since=1000)],
         points=tuple(CONNECTIONS_HELD), of_what="connections"),
    Work("growth-list", "As those who are listed grow",
         "So many users are online, all in one channel: what one of them waits for LIST, and a newcomer for JOIN.",
         ["--members", "{at}"], ["memory"], [LIST, LIST_CHANNEL, JOIN],
         [Goal("LIST: not slower than linear", "memory", LIST, growth="linear"),
          Goal("LIST #channel: not slower than linear", "memory", LIST_CHANNEL, growth="linear"),
          Goal("JOIN: not slower than linear", "memory", JOIN, growth="linear")],
         runs="growth", points=tuple(LISTED), of_what="members"),
    Work("growth-boot", "As the store grows",
         "So many messages are stored when the server is killed with `kill -9` and started again.",
         ["--json"], ["disk"], [SERVING, SERVING_UNCACHED],
         [Goal("boot: not slower than linear", "disk", SERVING, growth="linear")],
         runs="boot", points=tuple(STORED), of_what="messages"),
]

BY_SLUG = {work.slug: work for work in WORKS}
