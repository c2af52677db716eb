/* A provider of canned answers, as fast as one thread can give them.
 *
 *   upstream PORT FOLDER
 *
 * FOLDER holds the bytes of four dialects (bench/answers.py writes them): NAME.head, NAME.event and
 * NAME.tail are a stream's, HTTP/1.1 framing included, and NAME.json is a whole response. Every
 * event, and the one text of NAME.json, has a mark in it, which is overwritten as it is sent:
 *
 *   @SSSSTTTTTTTTTTTT.   S: number of the event in its answer, T: nanoseconds of CLOCK_MONOTONIC
 *                        modulo 2^48, both in hexadecimal
 *
 * so that whoever reads the stream can tell, whatever became of it on the way, that an event is
 * lost, doubled, out of order or cut, and how long it took.
 *
 *   GET /set?events=100&gap_us=0&group=1   applies to the streams that begin after it
 *
 * events  in a stream
 * gap_us  microseconds from one event to the next
 * group   events in one send(); 0 sends the whole stream at once
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

enum { MARK = 18, READ_AT_ONCE = 1 << 16 };

static struct { long events, gap_us, group; } setting = {100, 0, 1};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ── what is answered ─────────────────────────────────────────────────────────────────────────── */

struct text { char *at; size_t length, mark; };  /* mark: offset of its mark, if it has one */

static struct dialect {
	const char *name, *path;  /* path: what the path of a request for it has in it */
	struct text head, event, tail, json;
} dialects[] = {
	{.name = "openai-chat", .path = "/chat/completions"},
	{.name = "openai-responses", .path = "/responses"},
	{.name = "anthropic", .path = "/messages"},
	{.name = "gemini", .path = "enerateContent"},
};
enum { DIALECTS = sizeof dialects / sizeof *dialects };

static struct text read_text(const char *folder, const char *name, const char *part)
{
	char path[4096];
	struct text text = {0};
	snprintf(path, sizeof path, "%s/%s.%s", folder, name, part);
	FILE *file = fopen(path, "rb");
	if (!file)
		die(path);
	text.at = malloc(1 << 16);
	text.length = fread(text.at, 1, 1 << 16, file);
	fclose(file);
	char *mark = memchr(text.at, '@', text.length);
	text.mark = mark ? (size_t)(mark - text.at) : 0;
	return text;
}

static void read_dialects(const char *folder)
{
	for (struct dialect *d = dialects; d < dialects + DIALECTS; d++) {
		d->head = read_text(folder, d->name, "head");
		d->event = read_text(folder, d->name, "event");
		d->tail = read_text(folder, d->name, "tail");
		d->json = read_text(folder, d->name, "json");
	}
}

static void hex(char *to, int digits, uint64_t value)
{
	for (; digits--; value >>= 4)
		to[digits] = "0123456789abcdef"[value & 15];
}

/* ── connections ──────────────────────────────────────────────────────────────────────────────── */

struct buffer { char *at; size_t length, room; };

struct connection {
	int fd, blocked;                  /* blocked: the socket takes no more for now */
	struct buffer in, out;
	size_t sent;                      /* of out */
	const struct dialect *streaming;  /* NULL between streams */
	long next, events, gap_us, group;
	uint64_t due;
	struct connection *after;         /* in the queue of those that have something to send */
	int queued, closed;
};

/* In the order of their due times: every stream of a run has the same gap, so one that is put off
 * always belongs at the end. */
static struct connection *first, *last;
static int epoll;

static void enqueue(struct connection *c)
{
	if (c->queued)
		return;
	c->queued = 1;
	c->after = NULL;
	if (last)
		last->after = c;
	else
		first = c;
	last = c;
}

static struct connection *dequeue(void)
{
	struct connection *c = first;
	first = c->after;
	if (!first)
		last = NULL;
	c->queued = 0;
	return c;
}

static char *extend(struct buffer *b, size_t length)
{
	if (b->length + length > b->room) {
		b->room = 2 * (b->length + length);
		b->at = realloc(b->at, b->room);
		if (!b->at)
			die("realloc");
	}
	b->length += length;
	return b->at + b->length - length;
}

static void put(struct connection *c, const struct text *text, long number)
{
	char *at = extend(&c->out, text->length);
	memcpy(at, text->at, text->length);
	if (text->mark) {
		hex(at + text->mark + 1, 4, (uint64_t)number);
		hex(at + text->mark + 5, 12, now_ns());
	}
}

static void await(struct connection *c, int blocked)
{
	if (c->blocked == blocked)
		return;
	c->blocked = blocked;
	struct epoll_event wanted = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
	epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &wanted);
}

/* One that is in the queue is freed when its turn comes. */
static void hang_up(struct connection *c)
{
	if (!c->closed)
		close(c->fd);
	c->closed = 1;
	if (c->queued)
		return;
	free(c->in.at);
	free(c->out.at);
	free(c);
}

static int send_out(struct connection *c)  /* -1: the other side is gone */
{
	while (c->sent < c->out.length) {
		ssize_t n = send(c->fd, c->out.at + c->sent, c->out.length - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n < 0) {
			await(c, 1);
			return 0;
		}
		c->sent += (size_t)n;
	}
	c->sent = c->out.length = 0;
	await(c, 0);
	return 0;
}

/* Sends what is due of the stream; -1: the other side is gone. */
static int advance(struct connection *c)
{
	const struct dialect *d = c->streaming;
	if (!c->next)
		put(c, &d->head, 0);
	long until = c->group ? c->next + c->group : c->events;
	while (c->next < c->events && c->next < until)
		put(c, &d->event, c->next++);
	c->due += (uint64_t)c->gap_us * 1000;
	if (c->next == c->events) {
		put(c, &d->tail, 0);
		c->streaming = NULL;
	}
	if (send_out(c))
		return -1;
	if (c->streaming && !c->blocked)
		enqueue(c);
	return 0;
}

/* ── requests ─────────────────────────────────────────────────────────────────────────────────── */

static void set(const char *query, const char *name, long *value)
{
	const char *at = strstr(query, name);
	if (at)
		*value = atol(at + strlen(name));
}

static int answer_empty(struct connection *c, const char *status)
{
	int length = snprintf(NULL, 0, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);
	char *at = extend(&c->out, (size_t)length + 1);
	snprintf(at, (size_t)length + 1, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);
	c->out.length--;
	return send_out(c);
}

/* The length of the body that begins at *body, or -1 while it is not known. */
static long body_length(const char *head, const char *body, const char *end)
{
	const char *length = strcasestr(head, "\r\ncontent-length:");
	if (length)
		return atol(length + strlen("\r\ncontent-length:"));
	if (!strcasestr(head, "\r\ntransfer-encoding:"))
		return 0;
	/* Nobody here sends a second request before the answer to the first. */
	return end - body >= 5 && !memcmp(end - 5, "0\r\n\r\n", 5) ? end - body : -1;
}

static int answer(struct connection *c, const char *path, const char *body, size_t length)
{
	if (strstr(path, "/set?")) {
		set(path, "events=", &setting.events);
		set(path, "gap_us=", &setting.gap_us);
		set(path, "group=", &setting.group);
		return answer_empty(c, "200 OK");
	}
	for (struct dialect *d = dialects; d < dialects + DIALECTS; d++) {
		if (!strstr(path, d->path))
			continue;
		if (!memchr(body, '{', length) || !memrchr(body, '}', length))
			return answer_empty(c, "400 Bad Request");
		if (strstr(path, ":stream") || memmem(body, length, "\"stream\":true", 13)
		    || memmem(body, length, "\"stream\": true", 14)) {
			c->streaming = d;
			c->next = 0;
			c->events = setting.events;
			c->gap_us = setting.gap_us;
			c->group = setting.group;
			c->due = now_ns();
			return advance(c);
		}
		put(c, &d->json, 0);
		return send_out(c);
	}
	return answer_empty(c, "404 Not Found");
}

/* Answers the request that has been read, if it is whole; -1: the other side is gone. */
static int take_request(struct connection *c)
{
	*extend(&c->in, 1) = 0;
	char *head = c->in.at, *blank = strstr(head, "\r\n\r\n"), *end = head + --c->in.length;
	if (!blank)
		return 0;
	char *body = blank + 4;
	*blank = 0;
	long length = body_length(head, body, end);
	*blank = '\r';
	if (length < 0 || end - body < length)
		return 0;
	char *path = strchr(head, ' ');
	if (!path || !strchr(path + 1, ' '))
		return -1;
	*strchr(path + 1, ' ') = 0;
	c->in.length = 0;
	return answer(c, path + 1, body, (size_t)length);
}

static int readable(struct connection *c)  /* -1: the other side is gone */
{
	char *at = extend(&c->in, READ_AT_ONCE);
	ssize_t n = recv(c->fd, at, READ_AT_ONCE, 0);
	c->in.length -= READ_AT_ONCE - (n > 0 ? (size_t)n : 0);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	return n == 0 ? -1 : take_request(c);
}

static int writable(struct connection *c)
{
	if (send_out(c))
		return -1;
	if (c->streaming && !c->blocked)
		enqueue(c);
	return 0;
}

/* ── the loop ─────────────────────────────────────────────────────────────────────────────────── */

static void accept_all(int listener)
{
	int fd, on = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct connection *c = calloc(1, sizeof *c);
		c->fd = fd;
		struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted);
	}
}

/* Every stream that is due gets one turn, so that none is late for the sake of another. */
static void advance_those_due(void)
{
	uint64_t now = now_ns();
	struct connection *stop = last;
	while (first && (first->closed || first->due <= now)) {
		struct connection *c = dequeue();
		int over = c == stop;
		if (c->closed || advance(c))
			hang_up(c);
		if (over)
			return;
	}
}

static struct timespec *time_left(struct timespec *t)
{
	if (!first)
		return NULL;
	uint64_t now = now_ns(), left = first->due > now ? first->due - now : 0;
	t->tv_sec = (time_t)(left / 1000000000u);
	t->tv_nsec = (long)(left % 1000000000u);
	return t;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: upstream PORT FOLDER\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	read_dialects(argv[2]);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(argv[1])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
		die("bind");
	epoll = epoll_create1(0);
	struct epoll_event ready[512], wanted = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted);
	for (;;) {
		struct timespec t;
		int n = epoll_pwait2(epoll, ready, 512, time_left(&t), NULL);
		for (int i = 0; i < n; i++) {
			struct connection *c = ready[i].data.ptr;
			if (!c)
				accept_all(listener);
			else if ((ready[i].events & EPOLLOUT && writable(c))
			         || (ready[i].events & ~EPOLLOUT && readable(c)))
				hang_up(c);
		}
		advance_those_due();
	}
}
