/* Clients of a server of streams, as fast as one thread can be all of them.
 *
 *   loadgen PORT FILE [-c connections] [-d seconds] [-n requests] [-e events] [-m mark of the end]
 *           [-r seconds of ramp] [-t seconds of patience] [-w]
 *
 * FILE holds the bytes of one HTTP/1.1 request. Every connection sends it, reads the answer to its
 * end, and sends it again, until the seconds are over or so many requests have begun; answers under
 * way are read to their end. An answer must have the status 200, *events* marks as upstream.c writes
 * them, all whole and in their order, and the mark of the end after them; with -w it may say its whole
 * text again, any number of times, as the last events of OpenAI's Responses do. Prints one object of
 * JSON; its times are in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MARK = 18, READ_AT_ONCE = 1 << 18, LONGEST_HEAD = 1 << 13, LONGEST_END = 64 };

static struct {
	long connections, requests, events;
	double seconds, ramp, patience;
	const char *end;
	int again;
} option = {
	.connections = 1, .requests = -1, .events = 1, .seconds = 1, .ramp = 0, .patience = 60, .end = "",
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* ── times ────────────────────────────────────────────────────────────────────────────────────── */

/* Counts of durations, by their most significant bits: two thousandths apart at most. */
enum { BITS = 10, SLOTS = (65 - BITS) << BITS };
static struct times { uint64_t count, greatest, in[SLOTS]; } whole, first_event, lag;

static void note(struct times *t, uint64_t ns)
{
	unsigned shift = ns >> BITS ? 64 - BITS - (unsigned)__builtin_clzll(ns) : 0;
	t->in[(shift << BITS) + (ns >> shift)]++;
	t->count++;
	if (ns > t->greatest)
		t->greatest = ns;
}

static double quantile(const struct times *t, double part)
{
	uint64_t seen = 0;
	for (uint64_t i = 0; i < SLOTS; i++) {
		seen += t->in[i];
		if (t->in[i] && (double)seen >= part * (double)t->count)
			return (double)((i & ((1 << BITS) - 1)) << (i >> BITS)) / 1e3;
	}
	return 0;
}

static void print_times(const char *name, const struct times *t)
{
	printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, quantile(t, .5),
	       quantile(t, .9), quantile(t, .99), (double)t->greatest / 1e3);
}

/* ── what went wrong ──────────────────────────────────────────────────────────────────────────── */

enum error { STATUS, LOST, CUT, NO_END, CLOSED, LATE, UNREACHABLE, ERRORS };
static const char *error_names[ERRORS] = {
	"status", "lost_or_doubled", "cut", "no_end", "closed", "late", "unreachable",
};
static uint64_t errors[ERRORS], served, begun, events_read;
static char sample[160];  /* the head of the first answer that is not 200 */

/* ── connections ──────────────────────────────────────────────────────────────────────────────── */

enum part { IDLE, SENDING, HEAD, BODY };
enum framing { SIZE, DATA, DATA_END, TRAILER };  /* of a chunked body */

struct connection {
	int fd, used;          /* fd: -1 without one; used: it has answered before */
	enum part part;
	enum framing framing;
	int chunked, cut, ended, kept;
	size_t sent, left;     /* left: of the body, or of its chunk */
	size_t line;           /* length of a trailer's line */
	long status, next;     /* next: how many marks have come in their order */
	long again;            /* and how many after the last, of the text said again */
	int lost;
	uint64_t began;
	char head[LONGEST_HEAD], tail[LONGEST_END];  /* tail: the end of what was read before */
	size_t head_length, tail_length;
};

static struct sockaddr_in address;
static struct connection *connections, **idle;
static long idle_count, busy;
static char *request;
static size_t request_length;
static int epoll;

static void begin(struct connection *c);

static void disconnect(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
	c->used = 0;
}

static void rest(struct connection *c)
{
	c->part = IDLE;
	idle[idle_count++] = c;
	busy--;
}

static void fail(struct connection *c, enum error error)
{
	errors[error]++;
	disconnect(c);
	rest(c);
}

/* A server may close an idle connection at any time; a request that crosses that goes again. */
static void lose(struct connection *c, enum error error)
{
	if (!c->used || c->head_length) {
		fail(c, error);
		return;
	}
	disconnect(c);
	busy--;
	begun--;
	begin(c);
}

static void send_request(struct connection *c)
{
	ssize_t n = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		lose(c, UNREACHABLE);
		return;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (c->sent == request_length)
		c->part = HEAD;
}

static void connect_it(struct connection *c)
{
	int on = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	connect(c->fd, (struct sockaddr *)&address, sizeof address);
	/* Edges, so that an idle writable socket costs nothing. */
	struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
	epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &wanted);
}

static void begin(struct connection *c)
{
	begun++;
	busy++;
	c->part = SENDING;
	c->sent = c->head_length = c->tail_length = 0;
	c->next = c->again = 0;
	c->cut = c->ended = c->lost = 0;
	c->began = now_ns();
	if (c->fd < 0)
		connect_it(c);  /* it goes out once the socket is writable */
	else
		send_request(c);
}

static void finish(struct connection *c, uint64_t now)
{
	rest(c);
	c->used = 1;
	if (!c->kept)
		disconnect(c);
	if (c->status != 200)
		errors[STATUS]++;
	else if (c->cut)
		errors[CUT]++;
	else if (c->lost || c->next != option.events || c->again % option.events)
		errors[LOST]++;
	else if (*option.end && !c->ended)
		errors[NO_END]++;
	else {
		served++;
		note(&whole, now - c->began);
	}
}

/* ── marks ────────────────────────────────────────────────────────────────────────────────────── */

static const uint64_t CLOCK = ((uint64_t)1 << 48) - 1;

static int parse_hex(const char *at, int digits, uint64_t *value)
{
	for (*value = 0; digits--; at++) {
		if (*at >= '0' && *at <= '9')
			*value = *value << 4 | (uint64_t)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			*value = *value << 4 | (uint64_t)(*at - 'a' + 10);
		else
			return 0;
	}
	return 1;
}

static void read_mark(struct connection *c, const char *at, uint64_t now)
{
	uint64_t number, sent;
	if (!parse_hex(at + 1, 4, &number) || !parse_hex(at + 5, 12, &sent) || at[MARK - 1] != '.') {
		c->cut = 1;
		return;
	}
	if (c->next == option.events && option.again) {
		c->lost |= number != (uint64_t)(c->again++ % option.events);
		return;
	}
	c->lost |= number != (uint64_t)c->next;
	note(&lag, (now - sent) & CLOCK);
	if (!c->next++)
		note(&first_event, now - c->began);
	events_read++;
}

/* What one read gave of the content, after what is left of the content before it. */
static char content[READ_AT_ONCE + LONGEST_END];
static size_t content_length;

static void read_content(struct connection *c, uint64_t now)
{
	const char *at = content, *end = content + content_length, *mark;
	const char *last = c->next == option.events ? content : NULL;  /* after the last event */
	while ((mark = memchr(at, '@', (size_t)(end - at))) && end - mark >= MARK) {
		read_mark(c, mark, now);
		at = mark + MARK;
		if (!last && c->next == option.events)
			last = at;
	}
	if (last && memmem(last, (size_t)(end - last), option.end, strlen(option.end)))
		c->ended = 1;
	/* A mark, or that of the end, may have its other half in the next read. */
	c->tail_length = end - at < LONGEST_END ? (size_t)(end - at) : LONGEST_END;
	memcpy(c->tail, end - c->tail_length, c->tail_length);
}

/* ── answers ──────────────────────────────────────────────────────────────────────────────────── */

static size_t take_data(struct connection *c, const char *at, size_t length)
{
	size_t n = length < c->left ? length : c->left;
	memcpy(content + content_length, at, n);
	content_length += n;
	c->left -= n;
	return n;
}

/* Takes the content out of the bytes of a chunked body; 1: it is complete. */
static int take_chunks(struct connection *c, const char *at, size_t length)
{
	for (const char *end = at + length; at < end; at++) {
		uint64_t digit;
		switch (c->framing) {
		case SIZE:
			if (*at == '\n') {
				c->framing = c->left ? DATA : TRAILER;
				c->line = 0;
			} else if (*at != '\r' && parse_hex(at, 1, &digit))
				c->left = c->left << 4 | digit;
			break;
		case DATA:
			at += take_data(c, at, (size_t)(end - at)) - 1;
			if (!c->left)
				c->framing = DATA_END;
			break;
		case DATA_END:
			if (*at == '\n')
				c->framing = SIZE;
			break;
		case TRAILER:
			if (*at == '\n' && !c->line)
				return 1;
			c->line = *at == '\n' ? 0 : c->line + (*at != '\r');
		}
	}
	return 0;
}

static int take_body(struct connection *c, const char *at, size_t length)
{
	if (c->chunked)
		return take_chunks(c, at, length);
	take_data(c, at, length);
	return !c->left;
}

/* Reads the head as far as it came; how many bytes it took, and part is BODY once it is whole. */
static size_t take_head(struct connection *c, const char *at, size_t length)
{
	size_t before = c->head_length, room = LONGEST_HEAD - 1 - before;
	size_t n = length < room ? length : room;
	memcpy(c->head + before, at, n);
	c->head[c->head_length += n] = 0;
	char *blank = strstr(c->head, "\r\n\r\n");
	if (!blank)
		return n;
	blank[2] = 0;
	c->status = atol(c->head + strlen("HTTP/1.1 "));
	const char *size = strcasestr(c->head, "\r\ncontent-length:");
	c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
	c->kept = !strcasestr(c->head, "\r\nconnection: close");
	c->left = size && !c->chunked ? (size_t)atol(size + strlen("\r\ncontent-length:")) : 0;
	c->framing = SIZE;
	c->part = BODY;
	return (size_t)(blank + 4 - c->head) - before;
}

/* Reads what is there; 0: it was all. */
static int read_some(struct connection *c)
{
	static char bytes[READ_AT_ONCE];
	ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
	uint64_t now = now_ns();
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		if (c->part == IDLE)
			disconnect(c);
		else
			lose(c, c->head_length ? CLOSED : UNREACHABLE);
		return 0;
	}
	const char *at = bytes, *end = bytes + n;
	if (c->part == HEAD || c->part == SENDING)
		at += take_head(c, at, (size_t)(end - at));
	if (c->part != BODY)
		return n == READ_AT_ONCE;
	memcpy(content, c->tail, content_length = c->tail_length);
	int complete = take_body(c, at, (size_t)(end - at));
	if (c->status == 200)
		read_content(c, now);
	else if (!*sample)
		snprintf(sample, sizeof sample, "%.60s %.*s", c->head, (int)content_length, content);
	if (complete)
		finish(c, now);
	return n == READ_AT_ONCE;
}

/* ── the loop ─────────────────────────────────────────────────────────────────────────────────── */

/* How many connections may be at work *passed* seconds after the start. */
static long ramped(double passed)
{
	if (passed >= option.ramp)
		return option.connections;
	return 1 + (long)(passed / option.ramp * (double)option.connections);
}

static int may_begin(double passed)
{
	return passed < option.seconds && (option.requests < 0 || begun < (uint64_t)option.requests);
}

static void serve(int patience_ms)
{
	struct epoll_event ready[512];
	int n = epoll_wait(epoll, ready, 512, patience_ms);
	for (int i = 0; i < n; i++) {
		struct connection *c = ready[i].data.ptr;
		int fd = c->fd;
		if (c->part == SENDING && ready[i].events & EPOLLOUT)
			send_request(c);
		if (ready[i].events & ~EPOLLOUT)
			while (c->fd == fd && fd >= 0 && read_some(c))
				;
		/* An end that came with the last bytes has no edge of its own. */
		if (ready[i].events & EPOLLRDHUP && c->fd == fd && fd >= 0)
			read_some(c);
	}
}

static void give_up_late_ones(uint64_t now)
{
	for (struct connection *c = connections; c < connections + option.connections; c++)
		if (c->part != IDLE && (double)(now - c->began) > option.patience * 1e9)
			fail(c, LATE);
}

static double run(void)  /* seconds until the last answer */
{
	uint64_t start = now_ns(), checked = start;
	double passed = 0;
	while (may_begin(passed) || busy) {
		long limit = ramped(passed);
		while (busy < limit && may_begin(passed))
			begin(idle[--idle_count]);
		serve(limit < option.connections ? 1 : 100);
		uint64_t now = now_ns();
		passed = (double)(now - start) / 1e9;
		if (now - checked > 500000000) {
			checked = now;
			give_up_late_ones(now);
		}
	}
	return passed;
}

static void print(double seconds)
{
	uint64_t failed = 0;
	for (int i = 0; i < ERRORS; i++)
		failed += errors[i];
	printf("{\"served\":%lu,\"failed\":%lu,\"events\":%lu,\"seconds\":%.6f", served, failed,
	       events_read, seconds);
	print_times("total_us", &whole);
	print_times("first_us", &first_event);
	print_times("lag_us", &lag);
	printf(",\"errors\":{");
	for (int i = 0; i < ERRORS; i++)
		printf("%s\"%s\":%lu", i ? "," : "", error_names[i], errors[i]);
	printf("},\"sample\":\"");
	for (const char *at = sample; *at; at++)
		putchar((unsigned char)*at < 32 || *at == '"' || *at == '\\' ? ' ' : *at);
	printf("\"}\n");
}

static void read_request(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END))
		die(path);
	request_length = (size_t)ftell(file);
	rewind(file);
	request = malloc(request_length);
	if (fread(request, 1, request_length, file) != request_length)
		die(path);
	fclose(file);
}

static int read_options(int argc, char **argv)  /* 0: unknown ones */
{
	for (int o; (o = getopt(argc, argv, "c:d:n:e:m:r:t:w")) != -1;)
		switch (o) {
		case 'c': option.connections = atol(optarg); break;
		case 'd': option.seconds = atof(optarg); break;
		case 'n': option.requests = atol(optarg); break;
		case 'e': option.events = atol(optarg); break;
		case 'm': option.end = optarg; break;
		case 'r': option.ramp = atof(optarg); break;
		case 't': option.patience = atof(optarg); break;
		case 'w': option.again = 1; break;
		default: return 0;
		}
	return argc - optind == 2 && strlen(option.end) < LONGEST_END;
}

int main(int argc, char **argv)
{
	if (!read_options(argc, argv)) {
		fprintf(stderr, "usage: loadgen PORT FILE; see the top of loadgen.c\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(argv[optind])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	read_request(argv[optind + 1]);
	epoll = epoll_create1(0);
	connections = calloc((size_t)option.connections, sizeof *connections);
	idle = calloc((size_t)option.connections, sizeof *idle);
	for (long i = 0; i < option.connections; i++) {
		connections[i].fd = -1;
		idle[idle_count++] = &connections[i];
	}
	print(run());
	return 0;
}
