/* SPDX-License-Identifier: BSD-3-Clause */
#include "eoc/checkpoint.h"

#include "eoc/record.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char MAGIC[16] = "eoc checkpoint 1";

typedef struct {
    char magic[16];
    uint32_t physics_version;
    uint32_t owner[2];
    uint32_t count;
} head;

static head head_of(eoc_key owner, int count)
{
    head h = {
        .physics_version = EOC_PHYSICS_VERSION, .owner = {owner.word[0], owner.word[1]}, .count = (uint32_t)count};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    return h;
}

void eoc_checkpoint_path(const char *result, int64_t unit, eoc_text *path)
{
    eoc_text_append(path, "%s.unit-%lld.checkpoint", result, (long long)unit);
}

static void temporary_path(const char *path, eoc_text *out)
{
    eoc_text_append(out, "%s.tmp", path);
}

/* CRC-32 of any length; zlib takes 32 bits of it at a time. */
static uLong add_to_crc(uLong crc, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t left = size; left > 0;) {
        const uInt part = left < (1U << 30) ? (uInt)left : 1U << 30;
        crc = crc32(crc, at, part);
        at += part;
        left -= part;
    }
    return crc;
}

/* -- writing -- */

static bool put(FILE *file, uLong *crc, const void *bytes, size_t size)
{
    if (size == 0) {
        return true;
    }
    *crc = add_to_crc(*crc, bytes, size);
    return fwrite(bytes, 1, size, file) == size;
}

static bool write_all(FILE *file, eoc_key owner, const eoc_piece *pieces, int count)
{
    const head h = head_of(owner, count);
    uLong crc = crc32(0L, Z_NULL, 0);
    bool good = put(file, &crc, &h, sizeof h);
    for (int i = 0; i < count; i++) {
        const uint64_t size = pieces[i].size;
        good = good && put(file, &crc, &size, sizeof size);
    }
    for (int i = 0; i < count; i++) {
        good = good && put(file, &crc, pieces[i].bytes, pieces[i].size);
    }
    const uint32_t sum = (uint32_t)crc;
    return good && fwrite(&sum, sizeof sum, 1, file) == 1 && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

static void sync_folder(const char *path)
{
    char *copy = eoc_text_copy(path, strlen(path));
    const int folder = open(dirname(copy), O_RDONLY);
    if (folder >= 0) {
        (void)fsync(folder); /* some file systems cannot; the file itself is synced */
        close(folder);
    }
    free(copy);
}

eoc_status eoc_checkpoint_save(const char *path, eoc_key owner, const eoc_piece *pieces, int count)
{
    eoc_text temporary = {0};
    temporary_path(path, &temporary);
    FILE *file = fopen(temporary.data, "wb");
    bool good = file && write_all(file, owner, pieces, count);
    int reason = errno;
    if (file && fclose(file) != 0) {
        good = false;
        reason = errno;
    }
    if (good && rename(temporary.data, path) != 0) {
        good = false;
        reason = errno;
    }
    if (!good) {
        unlink(temporary.data);
    } else {
        sync_folder(path);
    }
    eoc_text_clear(&temporary);
    EOC_REQUIRE(good, EOC_ERR_IO, "%s: the checkpoint cannot be written: %s", path, strerror(reason));
    return EOC_OK;
}

/* -- reading -- */

static bool take(FILE *file, uLong *crc, void *bytes, size_t size)
{
    const bool good = fread(bytes, 1, size, file) == size;
    *crc = good ? add_to_crc(*crc, bytes, size) : *crc;
    return good;
}

/* Whether it begins as one of this owner and these sizes does. */
static bool read_head(FILE *file, uLong *crc, eoc_key owner, const eoc_piece *pieces, int count)
{
    const head wanted = head_of(owner, count);
    head found;
    bool good = take(file, crc, &found, sizeof found) && memcmp(&found, &wanted, sizeof found) == 0;
    for (int i = 0; i < count && good; i++) {
        uint64_t size = 0;
        good = take(file, crc, &size, sizeof size) && size == pieces[i].size;
    }
    return good;
}

/* Into memory of its own: the pieces are filled only when all of it is right. */
static bool read_pieces(FILE *file, uLong *crc, const eoc_piece *pieces, int count, unsigned char *memory)
{
    unsigned char *at = memory;
    for (int i = 0; i < count; i++) {
        if (!take(file, crc, at, pieces[i].size)) {
            return false;
        }
        at += pieces[i].size;
    }
    uint32_t sum = 0;
    return fread(&sum, sizeof sum, 1, file) == 1 && sum == (uint32_t)*crc && fgetc(file) == EOF;
}

bool eoc_checkpoint_load(const char *path, eoc_key owner, const eoc_piece *pieces, int count)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return false;
    }
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += pieces[i].size;
    }
    uLong crc = crc32(0L, Z_NULL, 0);
    unsigned char *memory = read_head(file, &crc, owner, pieces, count) ? malloc(total) : NULL;
    const bool good = memory && read_pieces(file, &crc, pieces, count, memory);
    const unsigned char *at = memory;
    for (int i = 0; i < count && good; i++) {
        if (pieces[i].size) {
            memcpy(pieces[i].bytes, at, pieces[i].size);
        }
        at += pieces[i].size;
    }
    free(memory);
    fclose(file);
    return good;
}

void eoc_checkpoint_remove(const char *path)
{
    eoc_text temporary = {0};
    temporary_path(path, &temporary);
    unlink(path);
    unlink(temporary.data);
    eoc_text_clear(&temporary);
}
