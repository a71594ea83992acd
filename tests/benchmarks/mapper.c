/* Maps 256 KiB, touches every page, unmaps, again and again, as malloc does above its threshold; counts the rounds. */
#include <stdint.h>
#include <sys/mman.h>

void run(volatile uint64_t *rounds) {
    for (;;) {
        char *area = mmap(0, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            return;
        for (int page = 0; page < 64; page++)
            area[page << 12] = 1;
        munmap(area, 256 << 10);
        ++*rounds;
    }
}
