/* A disk that goes wrong under one process, loaded into it by LD_PRELOAD.

   UNREADABLE=inode:offset  4,096 bytes of a file cannot be read. The file is known by its inode, as a bad sector would be:
                            renaming mends nothing.
   HANGS=path               reads and syncs of the buffer's files wait as long as there is something at the path.
   SYNC_FAILS=path          one sync of the buffer's files fails once there is something at the path, which it removes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096

#define NEXT(type, name) static type next; if (!next) next = (type)dlsym(RTLD_NEXT, name)

typedef ssize_t (*read_call)(int, void *, size_t);
typedef ssize_t (*pread_call)(int, void *, size_t, off_t);
typedef int (*sync_call)(int);

static int is_buffer(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/buffer.db") != NULL;
}

static void hang(int fd) {
    const char *path = getenv("HANGS");
    while (path && access(path, F_OK) == 0 && is_buffer(fd)) usleep(10000);
}

/* How much may be read; 0: the bad block is first. */
static size_t readable(int fd, size_t count, off_t at) {
    unsigned long long inode, bad, from = (unsigned long long)at;
    struct stat status;
    const char *text = getenv("UNREADABLE");
    if (!text || sscanf(text, "%llu:%llu", &inode, &bad) != 2) return count;
    if (fstat(fd, &status) || status.st_ino != inode) return count;
    if (from + count <= bad || from >= bad + BLOCK) return count;
    return from < bad ? (size_t)(bad - from) : 0;
}

ssize_t read(int fd, void *into, size_t count) {
    NEXT(read_call, "read");
    off_t at = lseek(fd, 0, SEEK_CUR);
    hang(fd);
    if (at >= 0 && count > 0 && !(count = readable(fd, count, at))) {
        errno = EIO;
        return -1;
    }
    return next(fd, into, count);
}

ssize_t pread64(int fd, void *into, size_t count, off_t at) {
    NEXT(pread_call, "pread64");
    hang(fd);
    if (count > 0 && !(count = readable(fd, count, at))) {
        errno = EIO;
        return -1;
    }
    return next(fd, into, count, at);
}

ssize_t pread(int fd, void *into, size_t count, off_t at) { return pread64(fd, into, count, at); }

static int sync_with(sync_call next, int fd) {
    const char *path = getenv("SYNC_FAILS");
    hang(fd);
    if (path && access(path, F_OK) == 0 && is_buffer(fd) && unlink(path) == 0) {
        errno = EIO;
        return -1;
    }
    return next(fd);
}

int fsync(int fd) { NEXT(sync_call, "fsync"); return sync_with(next, fd); }

int fdatasync(int fd) { NEXT(sync_call, "fdatasync"); return sync_with(next, fd); }
