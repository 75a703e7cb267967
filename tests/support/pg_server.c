/*
 * Runs postgres as a child, from a copy of a cluster that initdb made once. Uses nothing of the
 * driver under test.
 */
#include "tests/support/pg_server.h"
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_DIR   "/dev/shm"
#define MEMORY_LEAST ((size_t)1 << 30)
#define ARGS_MAX     32
#define PATH_TEXT    256

static void die(const char *what)
{
    perror(what);
    abort();
}

/* The newest installed version's directory of programs. */
static const char *bin_dir(void)
{
    static char dir[PATH_TEXT];
    glob_t found;

    if (*dir) return dir;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found)) die("no /usr/lib/postgresql/*/bin");
    snprintf(dir, sizeof(dir), "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return dir;
}

static const char *program(const char *name)
{
    static char path[PATH_TEXT + 64];

    snprintf(path, sizeof(path), "%s/%s", bin_dir(), name);
    return path;
}

/* PostgreSQL refuses to run as root. */
static const struct passwd *server_user(void)
{
    return geteuid() == 0 ? getpwnam("postgres") : NULL;
}

static void become_server_user(void)
{
    const struct passwd *user = server_user();

    if (!user) return;
    if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
        _exit(126);
}

static void quiet(const char *log)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

    if (fd < 0) return;
    dup2(fd, 1);
    dup2(fd, 2);
    close(fd);
}

/* Run to the end as the server's user. */
static void run(char *const argv[])
{
    int status;
    pid_t pid = fork();

    if (pid < 0) die("fork");
    if (pid == 0) {
        become_server_user();
        quiet("/dev/null");
        execvp(argv[0], argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s failed\n", argv[0]);
        abort();
    }
}

#define RUN(...) run((char *[]){ __VA_ARGS__, NULL })

/* Two databases less to copy for every test. */
static void drop_templates(const char *data)
{
    char command[2 * PATH_TEXT];

    snprintf(command, sizeof(command),
             "printf '%%s\\n' 'UPDATE pg_database SET datistemplate = false'"
             " 'DROP DATABASE template0' 'DROP DATABASE template1'"
             " | '%s' --single -D '%s' -c fsync=off postgres",
             program("postgres"), data);
    RUN("sh", "-c", command);
}

/* In memory, where there is room: a cluster is a thousand files, which a disk makes and removes
 * slowly. */
static const char *base_dir(void)
{
    struct statvfs fs;

    int room = statvfs(MEMORY_DIR, &fs) == 0 && access(MEMORY_DIR, W_OK) == 0 &&
               fs.f_bavail * fs.f_frsize >= MEMORY_LEAST;
    return room ? MEMORY_DIR : "/tmp";
}

/* Where the cluster of that name is kept. */
static void kept_dir(const char *name, char ret[PATH_TEXT])
{
    const char *version = strrchr(bin_dir(), '/') - 2;

    snprintf(ret, PATH_TEXT, "%s/parley-pg-%s-%.2s-%u", base_dir(), name, version, geteuid());
}

static void new_dir(char *dir, size_t size)
{
    const struct passwd *user = server_user();

    snprintf(dir, size, "%s/parley-pg-XXXXXX", base_dir());
    if (!mkdtemp(dir)) die("mkdtemp");
    if (user && chown(dir, user->pw_uid, user->pw_gid)) die("chown");
}

/* Several tests may make it at once: each makes its own and renames, the first one wins. */
static void keep_dir(const char *own, const char *kept)
{
    if (rename(own, kept) != 0) RUN("rm", "-rf", (char *)own);
}

static const char *template_dir(void)
{
    static char dir[PATH_TEXT];
    char own[64], data[PATH_TEXT];
    struct stat st;

    kept_dir("template", dir);
    if (stat(dir, &st) == 0) return dir;
    new_dir(own, sizeof(own));
    snprintf(data, sizeof(data), "%s/data", own);
    RUN((char *)program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
        "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1");
    drop_templates(data);
    keep_dir(own, dir);
    return dir;
}

static void make_cluster(struct pg_server *s, const char *kept)
{
    char from[PATH_TEXT + 8];

    snprintf(from, sizeof(from), "%s/data", kept);
    new_dir(s->dir, sizeof(s->dir));
    RUN("cp", "-a", from, s->dir);
    snprintf(s->url, sizeof(s->url), "postgresql:///postgres?host=%s&user=postgres", s->dir);
}

static void run_server(const struct pg_server *s, pid_t parent)
{
    char data[PATH_TEXT], sockets[PATH_TEXT], log[PATH_TEXT], more[PATH_TEXT];
    char *args[ARGS_MAX] = { (char *)program("postgres"), "-D", data, "-c", sockets, "-c",
                             "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
                             "-c", "shared_buffers=16MB", "-c", "autovacuum=off", "-c", "jit=off",
                             /* A client that connects in the moment of the shutdown is waited
                              * for so long, and cannot speak while it waits for the server. */
                             "-c", "authentication_timeout=5" };
    int n = 19;

    become_server_user();
    /* After setuid, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent) _exit(1);
    snprintf(data, sizeof(data), "%s/data", s->dir);
    snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", s->dir);
    snprintf(log, sizeof(log), "%s/log", s->dir);
    snprintf(more, sizeof(more), "%s", s->args ? s->args : "");
    for (char *p = strtok(more, " "); p && n < ARGS_MAX - 1; p = strtok(NULL, " ")) args[n++] = p;
    quiet(log);
    execv(args[0], args);
    _exit(127);
}

/* The last line of its pid file says how far it is. */
static int is_ready(const struct pg_server *s)
{
    char path[PATH_TEXT], text[1024];

    snprintf(path, sizeof(path), "%s/data/postmaster.pid", s->dir);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return atoi(text) == s->pid && strstr(text, "\nready");
}

void pg_server_start(struct pg_server *s)
{
    pid_t parent = getpid();

    if (!*s->dir) make_cluster(s, template_dir());
    s->pid = fork();
    if (s->pid < 0) die("fork");
    if (s->pid == 0) run_server(s, parent);
    for (int i = 0; i < 4000; i++) {
        if (is_ready(s)) return;
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) break;
        usleep(5000);
    }
    fprintf(stderr, "postgres in %s does not start, see its log\n", s->dir);
    abort();
}

int pg_server_start_kept(struct pg_server *s, const char *name)
{
    char kept[PATH_TEXT];
    struct stat st;

    kept_dir(name, kept);
    int is_kept = stat(kept, &st) == 0;
    if (is_kept) make_cluster(s, kept);
    pg_server_start(s);
    return is_kept;
}

void pg_server_keep(const struct pg_server *s, const char *name)
{
    char kept[PATH_TEXT], from[PATH_TEXT], own[64];

    kept_dir(name, kept);
    new_dir(own, sizeof(own));
    snprintf(from, sizeof(from), "%s/data", s->dir);
    RUN("cp", "-a", from, own);
    keep_dir(own, kept);
}

void pg_server_shut(struct pg_server *s, int sig)
{
    if (!s->pid) return;
    kill(s->pid, sig);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void pg_server_stop(struct pg_server *s)
{
    if (!*s->dir) return;
    pg_server_shut(s, SIGQUIT);
    RUN("rm", "-rf", s->dir);
    *s = (struct pg_server){ .args = s->args };
}

/* Backends have sessions of their own: no process group reaches all. */
static void signal_all(const struct pg_server *s, int sig)
{
    char path[PATH_TEXT];
    int child;

    kill(s->pid, sig);
    if (sig == SIGSTOP) waitpid(s->pid, NULL, WUNTRACED);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", s->pid, s->pid);
    FILE *f = fopen(path, "r");
    if (!f) die(path);
    while (fscanf(f, "%d", &child) == 1) kill(child, sig);
    fclose(f);
}

void pg_server_freeze(struct pg_server *s)
{
    signal_all(s, SIGSTOP);
}

void pg_server_thaw(struct pg_server *s)
{
    signal_all(s, SIGCONT);
}

const char *pg_server_sql(struct pg_server *s, const char *sql)
{
    static char out[65536];
    char command[4096];

    /* By its standard input, so that nothing needs quoting. */
    snprintf(command, sizeof(command), "%s '%s' -XAtq -v ON_ERROR_STOP=1 >%s/psql.out",
             program("psql"), s->url, s->dir);
    FILE *to = popen(command, "w");
    if (!to) die("popen");
    fputs(sql, to);
    if (pclose(to) != 0) {
        fprintf(stderr, "psql failed: %s\n", sql);
        abort();
    }
    snprintf(command, sizeof(command), "%s/psql.out", s->dir);
    FILE *from = fopen(command, "r");
    if (!from) die(command);
    size_t n = fread(out, 1, sizeof(out) - 1, from);
    fclose(from);
    if (n && out[n - 1] == '\n') n--;
    out[n] = '\0';
    return out;
}
