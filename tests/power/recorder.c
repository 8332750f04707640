// Preloaded into a broker, writes down what it does to the files below a directory: what a power cut may leave of them follows from that.
//
// POWER_ROOT  the directory, an absolute path without symbolic links
// POWER_LOG   where the record goes, outside of it
// POWER_FULL  a file: while it exists, the disk is full, and whatever would make a file longer fails with ENOSPC
//
// One lock is held over each call and its record, so that the record's order is the order in which things happened. Not recorded: reads;
// and SQLite's -shm file, which is memory shared between connections: after a power cut the first connection builds it anew from the
// write-ahead log, whatever is left of it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, SYNC_DIRECTORY, UNKNOWN };

// Everything little-endian on the machines this runs on; followed by the path, the second path, and the data.
struct record {
    uint64_t began; // CLOCK_REALTIME in microseconds, before the call
    uint64_t inode;
    uint64_t offset; // of a write; the length of a truncation
    uint32_t kind;
    uint32_t path;
    uint32_t other;
    uint32_t data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static const char *full;
static int out = -1;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

__attribute__((constructor)) static void begin(void) {
    const char *directory = getenv("POWER_ROOT"), *log = getenv("POWER_LOG");
    if (!directory || !log) return;
    root_length = strlen(directory);
    if (root_length >= sizeof root) abort();
    memcpy(root, directory, root_length + 1);
    full = getenv("POWER_FULL");
    out = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) abort();
}

static int watched(const char *path) {
    if (out < 0 || strncmp(path, root, root_length) || (path[root_length] && path[root_length] != '/')) return 0;
    size_t length = strlen(path);
    return length < 4 || strcmp(path + length - 4, "-shm");
}

// The path of an open file or directory, as the kernel knows it now.
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return watched(path);
}

// An absolute path for what a call names.
static int resolve(int directory, const char *name, char *path) {
    char base[PATH_MAX];
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && watched(path);
    if (directory == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
    }
    return snprintf(path, PATH_MAX, "%s/%s", base, name) < PATH_MAX && watched(path);
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : (uint64_t)found.st_ino;
}

static void put(struct record record, const char *path, const char *other, const void *data, size_t length) {
    record.path = (uint32_t)strlen(path);
    record.other = (uint32_t)strlen(other);
    record.data = (uint32_t)length;
    struct iovec parts[] = {
        { &record, sizeof record },
        { (void *)path, record.path },
        { (void *)other, record.other },
        { (void *)data, length },
    };
    size_t whole = sizeof record + record.path + record.other + length;
    // A record that is not whole would make every later one unreadable.
    if (REAL(writev)(out, parts, 4) != (ssize_t)whole) abort();
}

static int is_full(void) { return full && !access(full, F_OK); }

static off_t size_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_size;
}

// --- files ----------------------------------------------------------------------------------------------------------

static int opened(int directory, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    __typeof__(&openat) real_openat = REAL(openat);
    if (!(flags & (O_CREAT | O_TRUNC)) || !resolve(directory, name, path)) return real_openat(directory, name, flags, mode);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int was_there = !access(path, F_OK);
    int fd = real_openat(directory, name, flags, mode);
    int failed = errno;
    if (fd >= 0 && !was_there) put((struct record){ .began = began, .inode = inode_of(fd), .kind = CREATE }, path, "", "", 0);
    if (fd >= 0 && was_there && flags & O_TRUNC) put((struct record){ .began = began, .inode = inode_of(fd), .kind = TRUNCATE }, path, "", "", 0);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return fd;
}

#define MODE(flags, last)                             \
    mode_t mode = 0;                                  \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {          \
        va_list rest;                                 \
        va_start(rest, last);                         \
        mode = va_arg(rest, mode_t);                  \
        va_end(rest);                                 \
    }

int open(const char *name, int flags, ...) { MODE(flags, flags) return opened(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags, flags) return opened(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags, flags) return opened(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE(flags, flags) return opened(at, name, flags | O_LARGEFILE, mode); }
int creat(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

// `offset` is -1 for a write at the file's own position.
static ssize_t wrote(int fd, const void *data, size_t length, off_t offset) {
    char path[PATH_MAX];
    __typeof__(&write) real_write = REAL(write);
    __typeof__(&pwrite) real_pwrite = REAL(pwrite);
    if (out < 0 || fd == out || !path_of(fd, path)) {
        return offset < 0 ? real_write(fd, data, length) : real_pwrite(fd, data, length, offset);
    }
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    off_t at = offset;
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? size_of(fd) : lseek(fd, 0, SEEK_CUR);
    ssize_t done;
    if (is_full() && at + (off_t)length > size_of(fd)) {
        done = -1;
        errno = ENOSPC;
    } else {
        done = offset < 0 ? real_write(fd, data, length) : real_pwrite(fd, data, length, offset);
    }
    int failed = errno;
    if (done > 0) put((struct record){ .began = began, .inode = inode_of(fd), .offset = (uint64_t)at, .kind = WRITE }, path, "", data, (size_t)done);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return wrote(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return wrote(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return wrote(fd, data, length, offset); }

static int cut(int fd, off_t length) {
    char path[PATH_MAX];
    __typeof__(&ftruncate) real_ftruncate = REAL(ftruncate);
    if (!path_of(fd, path)) return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int done = -1;
    if (is_full() && length > size_of(fd)) errno = ENOSPC;
    else done = real_ftruncate(fd, length);
    int failed = errno;
    if (!done) put((struct record){ .began = began, .inode = inode_of(fd), .offset = (uint64_t)length, .kind = TRUNCATE }, path, "", "", 0);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

// --- what makes it certain ------------------------------------------------------------------------------------------

static int synced(int fd, int (*real_sync)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real_sync(fd);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    struct stat found;
    enum kind kind = !fstat(fd, &found) && S_ISDIR(found.st_mode) ? SYNC_DIRECTORY : SYNC;
    int done = real_sync(fd);
    int failed = errno;
    if (!done) put((struct record){ .began = began, .inode = inode_of(fd), .kind = kind }, path, "", "", 0);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

// --- names ----------------------------------------------------------------------------------------------------------

static int moved(int from_at, const char *from, int to_at, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    int here = resolve(from_at, from, old), there = resolve(to_at, to, new);
    if (!here && !there) return REAL(renameat)(from_at, from, to_at, to);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int done = REAL(renameat)(from_at, from, to_at, to);
    int failed = errno;
    if (!done) put((struct record){ .began = began, .kind = RENAME }, old, new, "", 0);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int rename(const char *from, const char *to) { return moved(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return moved(from_at, from, to_at, to); }

static int removed(int directory, const char *name, int flags) {
    char path[PATH_MAX];
    if (!resolve(directory, name, path)) return REAL(unlinkat)(directory, name, flags);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int done = REAL(unlinkat)(directory, name, flags);
    int failed = errno;
    if (!done) put((struct record){ .began = began, .kind = UNLINK }, path, "", "", 0);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int unlink(const char *name) { return removed(AT_FDCWD, name, 0); }
int unlinkat(int directory, const char *name, int flags) { return removed(directory, name, flags); }

// --- what nobody here uses: were it used, the record would be wrong, and says so ------------------------------------

static void unknown(int fd, const char *call) {
    char path[PATH_MAX];
    if (out < 0 || fd == out || !path_of(fd, path)) return;
    pthread_mutex_lock(&lock);
    put((struct record){ .began = now(), .inode = inode_of(fd), .kind = UNKNOWN }, path, call, "", 0);
    pthread_mutex_unlock(&lock);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    unknown(fd, "writev");
    return REAL(writev)(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    unknown(fd, "pwritev");
    return REAL(pwritev)(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    unknown(fd, "pwritev64");
    return REAL(pwritev64)(fd, parts, count, offset);
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
    unknown(fd, "fallocate");
    return REAL(fallocate)(fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    unknown(fd, "posix_fallocate");
    return REAL(posix_fallocate)(fd, offset, length);
}
ssize_t copy_file_range(int in, off64_t *in_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    unknown(to, "copy_file_range");
    return REAL(copy_file_range)(in, in_offset, to, to_offset, length, flags);
}
void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    // Reading a mapped file is no matter.
    if (fd >= 0 && protection & PROT_WRITE && flags & MAP_SHARED) unknown(fd, "mmap");
    return REAL(mmap)(at, length, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
    if (fd >= 0 && protection & PROT_WRITE && flags & MAP_SHARED) unknown(fd, "mmap64");
    return REAL(mmap64)(at, length, protection, flags, fd, offset);
}
