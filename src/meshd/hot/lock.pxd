# The lock word of an arena's cell and the stores beside it, for ledger.pyx and shared_bucket.pyx: 0 where it is free,
# else one more than the slot of its holder. Only the arena's bury() frees another's, when that one is dead.

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include <sched.h>
    #include <stdint.h>
    #include <time.h>

    #define MESHD_SPINS 100
    #define MESHD_WAIT_S 1.0

    static inline int meshd_lock_try(uint32_t *word, uint32_t owner)
    {
        uint32_t nobody = 0;
        return __atomic_compare_exchange_n(word, &nobody, owner, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    }

    static inline double meshd_lock_now(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
    }

    static int meshd_lock_wait(uint32_t *word, uint32_t owner)
    {
        double deadline;
        for (int spin = 0; spin < MESHD_SPINS; spin++) {
            if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0 && meshd_lock_try(word, owner))
                return 1;
    #if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
    #endif
        }
        deadline = meshd_lock_now() + MESHD_WAIT_S;
        while (meshd_lock_now() < deadline) {
            if (meshd_lock_try(word, owner))
                return 1;
            sched_yield();
        }
        return 0;
    }

    static inline void meshd_lock_free(uint32_t *word)
    {
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    }

    static inline uint32_t meshd_read(uint32_t *word)
    {
        return __atomic_load_n(word, __ATOMIC_RELAXED);
    }

    static inline void meshd_write(uint32_t *word, uint32_t value)
    {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    """
    bint lock_try "meshd_lock_try"(uint32_t* word, uint32_t owner) nogil
    bint lock_wait "meshd_lock_wait"(uint32_t* word, uint32_t owner) nogil
    void lock_free "meshd_lock_free"(uint32_t* word) nogil
    uint32_t read_word "meshd_read"(uint32_t* word) nogil
    void write_word "meshd_write"(uint32_t* word, uint32_t value) nogil


cdef inline bint acquire(uint32_t* word, uint32_t owner) noexcept:
    """Take the lock; who has to wait lets other threads run, and is refused after a second."""
    cdef bint is_ours
    if lock_try(word, owner):
        return True
    with nogil:
        is_ours = lock_wait(word, owner)
    return is_ours
