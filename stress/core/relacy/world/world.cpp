/* SPDX-License-Identifier: MIT
 *
 * world.cpp - see world.hpp. White-box.
 */
#include "world.hpp"
#include "stress/common/relacy/library.hpp"

#include <cstring>

World *world, *worlds[World::WORLDS];

/* Relacy gives its test object only the alignment of malloc, so the world lives here. */
alignas(World) static unsigned char room[sizeof(World)];

/* What the holders of frames write: the payloads of the frames of the world's blocks. */
union Payload {
    Payload()
    {
    }
    ~Payload()
    {
    }
    rl::var<unsigned> var;
};
static Payload payload[World::WORLDS][World::BLOCKS * MAP_WORDS * World::PAYLOADS];

static unsigned payloads_of(uint32_t blocks)
{
    return blocks * MAP_WORDS * World::PAYLOADS;
}

/* A world takes long to build, and one of some number of blocks is as the next one. So there is one
 * of each number, from which the others are copied, byte by byte. */
void InWorld::before()
{
    alignas(World) static unsigned char first[World::BLOCKS + 1][sizeof(World)];
    static bool built[World::BLOCKS + 1];
    void *bytes = room;

    if (built[blocks_]) {
        world = static_cast<World *>(memcpy(bytes, first[blocks_], sizeof room));
    } else {
        world = ::new (bytes) World(blocks_);
        memcpy(first[blocks_], bytes, sizeof room);
        built[blocks_] = true;
    }
    worlds[0] = world;
    World::begin_payloads(0, blocks_);
    setup();
}

void InWorld::after()
{
    check();
    World::end_payloads(0, blocks_);
}

void World::begin_payloads(unsigned number, uint32_t blocks)
{
    for (unsigned i = 0; i < payloads_of(blocks); i++) {
        ::new (&payload[number][i].var) rl::var<unsigned>;
        payload[number][i].var($).store(0);
    }
}

void World::end_payloads(unsigned number, uint32_t blocks)
{
    for (unsigned i = 0; i < payloads_of(blocks); i++)
        payload[number][i].var.~var();
}

template <typename T> static unsigned char *bytes(T *array)
{
    void *p = array;

    return static_cast<unsigned char *>(p);
}

World::World(uint32_t blocks, unsigned number, uint64_t section) : blocks_(blocks), number_(number)
{
    for (struct map512 &line : lines_)
        for (qa64 &w : line.w)
            qa_store(&w, WORD_FULL, relaxed);
    for (qa32 &d : descs_)
        qa_store(&d, D_RESERVED | D_HOLE, relaxed);
    z.head = &head;
    z.maps = bytes(maps_);
    z.descs = bytes(descs_);
    z.fulls = bytes(fulls_);
    z.holes = bytes(holes_);
    z.section_maps = bytes(lines_);
    z.gone_maps = bytes(gone_);
    z.sparse = bytes(sparse_);
    z.wholes = bytes(wholes_);
    z.tenants = bytes(tenants_);
    z.slot_states = slots_;
    z.pins = pins_;
    z.pin_mask = PINNED - 1;
    z.map_stride = 2 * sizeof(struct map512);
    z.sections = SECTIONS;
    z.slots = SLOTS;
    z.extent_count = 1;
    z.extents[0].count = SECTIONS;
    z.extents[0].section = section;
    z.end_block = blocks;
}

/* ---- Before the threads start --------------------------------------------------------------- */

void World::make_split(uint32_t b, uint32_t owner)
{
    qa_store(desc_of(&z, b), D_SPLIT | owner, relaxed);
}

void World::make_free(uint32_t b, bool fresh)
{
    qa_store(desc_of(&z, b), D_FREE, relaxed);
    (void)qa_and(block_word(&z, b / WORD_BITS), ~(1ull << b % WORD_BITS), relaxed);
    for (unsigned i = 0; i < MAP_WORDS && b < blocks_; i++)
        qa_store(&frame_map(&z, b)->w[i], fresh ? 0 : WORD_FULL, relaxed);
}

void World::make_reserved(uint32_t b, bool fresh)
{
    qa_store(desc_of(&z, b), D_RESERVED, relaxed);
    (void)qa_add(&head.reserved, BLOCK_FRAMES, relaxed);
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        qa_store(&frame_map(&z, b)->w[i], fresh ? 0 : WORD_FULL, relaxed);
        held_[b][i] = WORD_FULL;
    }
}

void World::make_section_free()
{
    for (uint32_t b = 0; b < SECTION_BLOCKS; b++)
        make_free(b, true);
}

void World::give(uint64_t frame, uint64_t n, bool run)
{
    for (uint64_t f = frame; f < frame + n; f++) {
        uint32_t b = block_of(f);
        unsigned word = place_of(f) / WORD_BITS;
        uint64_t bit = 1ull << f % WORD_BITS;

        (void)qa_or(&frame_map(&z, b)->w[word], bit, relaxed);
        held_[b][word] |= bit;
        if (run && f > frame) {
            (void)qa_or(&run_map(&z, b)->w[word], bit, relaxed);
            inside_[b][word] |= bit;
        }
    }
}

void World::give_but(uint32_t b, uint64_t frame, uint64_t n)
{
    give(frame_at(b, 0), frame - frame_at(b, 0), false);
    give(frame + n, frame_at(b + 1, 0) - (frame + n), false);
}

void World::give_whole(uint32_t b, unsigned order)
{
    uint32_t n = 1u << (order - BLOCK_ORDER);

    for (uint32_t i = 0; i < n; i++) {
        make_free(b + i);
        (void)qa_or(block_word(&z, (b + i) / WORD_BITS), 1ull << (b + i) % WORD_BITS, relaxed);
        qa_store(desc_of(&z, b + i), i ? (uint32_t)D_TAIL : desc_whole(order), relaxed);
        for (unsigned w = 0; w < MAP_WORDS && b + i < blocks_; w++)
            held_[b + i][w] = WORD_FULL;
    }
}

/* Hints as they are at rest, and the words that the scenario is about. */
void World::start(unsigned shared)
{
    for (uint32_t b = 0; b < blocks_; b++)
        qi_hint_block_free(&z, b);
    for (uint32_t s = 0; s < SECTIONS; s++)
        if (qi_section_find(&z, s, 0, 0) != NO_BLOCK)
            qi_hint_section_whole(&z, s);
    qa_store(&head.total, free_frames(), relaxed);
    qa_store(&head.managed, blocks_ * (uint64_t)BLOCK_FRAMES - qa_load(&head.reserved, relaxed),
             relaxed);
    share(shared);
}

void World::share_block(uint32_t b, unsigned shared)
{
    struct map512 *map = frame_map(&z, b);

    desc_of(&z, b)->share();
    if (shared & SECTION_BITS)
        block_word(&z, b / WORD_BITS)->share();
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        map[0].w[i].share();
        if (shared & RUN_MAPS)
            map[1].w[i].share();
    }
    if (shared & HINTS)
        full_of(&z, b)->share();
    if (shared & HOLES)
        hole_of(&z, b)->share();
}

void World::share(unsigned shared)
{
    for (uint32_t b = 0; b < blocks_ && !(shared & NOTHING); b++)
        share_block(b, shared);
    for (uint32_t s = 0; s < SECTIONS; s++) {
        if (shared & (HINTS | HOLES))
            sparse_[s].share();
        if (shared & HINTS)
            wholes_[s].share();
    }
    for (unsigned i = 0; i < blocks_ && shared & GONE; i += WORD_BITS)
        gone_word(&z, i / WORD_BITS)->share();
    if (shared & GONE)
        head.gone.share();
    for (unsigned i = 0; i < 2 && shared & LIST; i++)
        head.isolations[i].share();
    if (shared & LIST)
        head.isolating.share();
    for (struct quire_pin &pin : pins_) {
        for (unsigned i = 0; i < MAP_WORDS && shared & PINS; i++)
            pin.pinned.w[i].share();
        if (shared & PINS)
            pin.key.share();
    }
    for (qa64 &watch : head.watch)
        if (shared & WATCH)
            watch.share();
    if (shared & COUNTS)
        head.total.share();
    for (struct quire_slot_state &s : slots_) {
        if (shared & COUNTS)
            s.credit.share();
        for (unsigned c = 0; c < CLASSES && shared & HOMES; c++)
            s.home[c].share();
    }
    shared_ = shared;
}

/* ---- Steps of the threads -------------------------------------------------------------------- */

/* The holder of frames writes to them. The first frames of a word have payloads; of the others,
 * each shares one of these, so that two holders in a word need places that differ modulo PAYLOADS.
 */
void World::touch(uint64_t frame, uint64_t n)
{
    for (uint64_t f = frame; f < frame + n; f++)
        if (f < frame + PAYLOADS || f % WORD_BITS < PAYLOADS)
            payload[number_][f / WORD_BITS * PAYLOADS + f % PAYLOADS].var($).store(
                rl::thread_index());
}

void World::count(int64_t n)
{
    if (!(shared_ & COUNTS))
        (void)qa_add(&head.total, (uint64_t)n, relaxed);
}

void World::hold(uint64_t frame, uint64_t n, bool run)
{
    for (uint64_t f = frame; f < frame + n; f++) {
        uint64_t bit = 1ull << f % WORD_BITS;
        uint64_t *held = &held_[block_of(f)][place_of(f) / WORD_BITS];

        require(!(*held & bit), "a frame was given out twice");
        *held |= bit;
        if (run && f > frame)
            inside_[block_of(f)][place_of(f) / WORD_BITS] |= bit;
    }
    touch(frame, n);
}

void World::drop(uint64_t frame, uint64_t n)
{
    touch(frame, n);
    for (uint64_t f = frame; f < frame + n; f++) {
        held_[block_of(f)][place_of(f) / WORD_BITS] &= ~(1ull << f % WORD_BITS);
        inside_[block_of(f)][place_of(f) / WORD_BITS] &= ~(1ull << f % WORD_BITS);
    }
}

/* Of frames that are swept, whichever they are, each stands for itself. */
void World::touch_word(uint32_t b, unsigned word, uint64_t bits)
{
    for (unsigned i = 0; i < PAYLOADS; i++)
        if (bits >> i & 1)
            touch(at(b, word, i), 1);
}

void World::hold_word(uint32_t b, unsigned word, uint64_t bits)
{
    require(!(held_[b][word] & bits), "a frame was swept while somebody held it");
    held_[b][word] |= bits;
    touch_word(b, word, bits);
}

void World::drop_word(uint32_t b, unsigned word, uint64_t bits)
{
    touch_word(b, word, bits);
    held_[b][word] &= ~bits;
}

uint64_t World::take(uint32_t b, unsigned order)
{
    uint64_t frame;

    if (!qi_block_take(&z, b, order, &frame))
        return NO_FRAME;
    hold(frame, 1ull << order, true);
    count(-(1ll << order));
    return frame;
}

void World::put(uint64_t frame)
{
    drop(frame, 1);
    require(qi_frames_clear(&z, frame, 1) == 1, "a good free was refused");
    count(1);
}

bool World::take_range(unsigned s, uint64_t frame, uint64_t n, bool run)
{
    if (qi_range_claim(&z, slot(s), frame, n))
        return false;
    qi_range_publish(&z, frame, n, run);
    hold(frame, n, run);
    count(-(int64_t)n);
    return true;
}

bool World::take_whole(uint32_t b, unsigned order)
{
    uint32_t n = 1u << (order - BLOCK_ORDER);

    if (!qi_blocks_claim(&z, b, order - BLOCK_ORDER))
        return false;
    for (uint32_t i = 0; i < n && b + i < blocks_; i++)
        hold(frame_at(b + i, 0), BLOCK_FRAMES, false);
    qi_block_run_publish(&z, b, order);
    count(-(1ll << order));
    return true;
}

int World::put_whole(uint32_t b, unsigned order)
{
    int error = qi_block_run_put(&z, b, order, false);

    if (!error)
        count(1ll << order);
    return error;
}

void World::free(unsigned s, uint64_t frame, uint64_t n)
{
    drop(frame, n);
    require(quire_zone_free_contig(&z, slot(s), pfn_of_frame(&z, frame), n) == QUIRE_OK,
            "a good free was refused");
}

/* ---- After all are done ---------------------------------------------------------------------- */

uint64_t World::free_frames() const
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < WIDE / WORD_BITS; i++)
        n += word_count(~qa_load(block_word(&z, i), relaxed)) * (uint64_t)BLOCK_FRAMES;
    for (uint32_t b = 0; b < blocks_; b++)
        if (section_bit(b) && desc_divided(desc(b)))
            n += qi_map_count_free(frame_map(&z, b));
    return n;
}

uint64_t World::frames_held() const
{
    uint64_t n = 0;

    for (uint32_t b = 0; b < blocks_; b++)
        for (uint64_t held : held_[b])
            n += word_count(held);
    return n;
}

void World::verify_split(uint32_t b) const
{
    unsigned free, longest = qi_map_hole(frame_map(&z, b), &free);
    unsigned hole = qa_load(hole_of(&z, b), relaxed) & HOLE_MASK;

    for (unsigned i = 0; i < MAP_WORDS; i++) {
        require(qa_load(&frame_map(&z, b)->w[i], relaxed) == held_[b][i],
                "the frame map does not say who holds what");
        require(qa_load(&run_map(&z, b)->w[i], relaxed) == inside_[b][i],
                "the run map does not say who holds what");
    }
    require(section_bit(b), "a split block belongs to its section");
    require((desc_state(desc(b)) == D_ISOLATED) == qi_block_in_isolated_range(&z, b),
            "I6: a block and the list of isolated ranges");
    if (desc_state(desc(b)) == D_ISOLATED)
        return;
    require(hole >= longest, "H4: a block hides a free run");
    if (desc(b) & D_OWNER)
        return;
    require(free < BLOCK_FRAMES, "the last free of a block was lost");
    require(!free || qa_load(full_of(&z, b), relaxed), "H1: a block with free frames is hidden");
    require(!qa_load(full_of(&z, b), relaxed) ||
                qa_load(sparse_of(&z, b / SECTION_BLOCKS), relaxed) >= hole,
            "H2: a section hides a block's free run");
}

void World::verify_block(uint32_t b) const
{
    unsigned state = desc_state(desc(b));

    if (desc_divided(desc(b))) {
        verify_split(b);
        return;
    }
    require(qi_map_words_equal(frame_map(&z, b), 0) ||
                qi_map_words_equal(frame_map(&z, b), WORD_FULL),
            "I2: the frame map of a block that is not split");
    require(qi_map_words_equal(run_map(&z, b), 0), "I3: the run map of a block that is not split");
    require(section_bit(b) == (state != D_FREE), "I1: a section's bit and the descriptor");
    for (unsigned i = 0; i < MAP_WORDS; i++)
        require(held_[b][i] == (state == D_FREE ? 0 : WORD_FULL),
                "a block does not say who holds it");
}

void World::verify() const
{
    uint64_t counted = quire_zone_free_frames(&z);

    for (uint32_t b = 0; b < blocks_; b++)
        verify_block(b);
    for (uint32_t s = 0; s < SECTIONS; s++)
        for (unsigned o = qa_load(wholes_of(&z, s), relaxed); o <= BLOCK_ORDER; o++)
            require(qi_section_find(&z, s, o, 0) == NO_BLOCK, "H3: a free block is hidden");
    require(counted == free_frames(), "the count is not the number of free frames");
}
