/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static void close_fdp(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int append_all(int fd, struct buf *ret_text)
{
	char chunk[4096];
	ssize_t got;
	int failed = 0;

	do {
		got = read(fd, chunk, sizeof(chunk));
		if (got > 0)
			failed = buf_add(ret_text, chunk, (size_t)got);
	} while (!failed && (got > 0 || (got < 0 && errno == EINTR)));
	explicit_bzero(chunk, sizeof(chunk));
	if (failed)
		errno = EFBIG;
	return failed || got < 0 ? -1 : 0;
}

int kube_file_read(const char *path, struct buf *ret_text, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO would wait for a writer. */
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, ERR_INVALID, errno, "cannot read %s: %s", path,
			       strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, 0, "%s is not a regular file", path);
	if (append_all(fd, ret_text) < 0)
		return err_set(err, ERR_INVALID, errno, "cannot read %s: %s", path,
			       strerror(errno));
	return 0;
}

bool kube_is_word(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

char *kube_file_word(const char *path, struct err *err)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(KUBE_MAX_WORD);

	if (kube_file_read(path, &text, err) < 0)
		return NULL;
	while (text.len && strchr(" \t\r\n", text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	buf_drop_front(&text, strspn(buf_str(&text), " \t\r\n"));
	if (strlen(buf_str(&text)) == text.len && kube_is_word(buf_str(&text)))
		return buf_take(&text);
	(void)err_set(err, ERR_INVALID, 0, "%s is empty or holds more than a word", path);
	return NULL;
}
