/* SPDX-License-Identifier: MIT
 *
 * world.hpp - a zone in miniature for the interleaving tests: the real sources of core, compiled as
 * C++ over Relacy's atomics, and metadata small enough to explore. White-box.
 *
 * A line has QUIRE_MAP_WORDS words (2, 4 or 8; the product has 8). The zone has one or two
 * sections; the first `blocks` blocks have maps, the others of the section are holes or, in tests
 * of whole blocks, free blocks without maps.
 *
 * Beside the zone stands a shadow that is no part of the explored memory: who holds what. A frame
 * given out twice fails at once. Each frame's holder writes a payload, a plain variable to Relacy,
 * which reports a race if the order between two holders rests on luck. verify() compares the zone
 * with the shadow after all threads are done: maps and run maps bit by bit, nothing lost, no hint
 * that hides a frame, and the count.
 */
#ifndef QUIRE_STRESS_CORE_RELACY_WORLD_HPP
#define QUIRE_STRESS_CORE_RELACY_WORLD_HPP

#include "core.hpp"
#include "stress/common/relacy/explore.hpp"

/* Which words are shared besides the frame maps and descriptors of the blocks. */
enum Share : unsigned {
    MAPS_ONLY = 0,
    RUN_MAPS = 1,
    HINTS = 2,
    COUNTS = 4,
    HOMES = 8,
    SECTION_BITS = 16,
    LIST = 32, /* of isolated ranges */
    PINS = 64,
    HOLES = 128,
    WATCH = 256,
    NOTHING = 512, /* not even maps and descriptors */
    GONE = 1024,   /* which blocks are gone */
};

class World
{
  public:
    enum {
        BLOCKS = 3,
        SECTIONS = 2,
        SLOTS = 4,
        PAYLOADS = 4,
        PINNED = 4,
        WIDE = SECTIONS * SECTION_BLOCKS,
        WORLDS = 4
    };

    /* `number`: of several zones side by side, this one's; its first frame is that of physical
     * section `section`. */
    explicit World(uint32_t blocks, unsigned number = 0, uint64_t section = 0);
    /* The payloads of a world of so many blocks: of an execution, before anything is held. */
    static void begin_payloads(unsigned number, uint32_t blocks);
    static void end_payloads(unsigned number, uint32_t blocks);

    /* ---- Before the threads start ---- */
    void make_split(uint32_t b, uint32_t owner = 0); /* all frames free; by default nobody's */
    void make_free(uint32_t b, bool fresh = false);  /* in its section; fresh: never split */
    void make_reserved(uint32_t b, bool fresh);      /* all of it, and held in the shadow */
    void make_section_free();                        /* with the blocks that have no maps */
    void give(uint64_t frame, uint64_t n, bool run); /* n frames, or one run of n, are held */
    void give_but(uint32_t b, uint64_t frame, uint64_t n); /* all of b but n frames are held */
    void give_whole(uint32_t b, unsigned order);           /* a run of whole blocks is held */
    void start(unsigned shared); /* set hints and count, share the words */
    void share(unsigned shared); /* the second half of that alone */

    /* ---- Who holds what, beside the explored memory ---- */
    void hold(uint64_t frame, uint64_t n, bool run);          /* taken; fails if somebody has it */
    void drop(uint64_t frame, uint64_t n);                    /* about to be freed by its holder */
    void hold_word(uint32_t b, unsigned word, uint64_t bits); /* the same for what was swept */
    void drop_word(uint32_t b, unsigned word, uint64_t bits);

    /* ---- Steps of the threads: the calls of core, and the shadow. They keep the count unless
     * COUNTS are shared. ---- */
    uint64_t take(uint32_t b, unsigned order); /* NO_FRAME: none */
    void put(uint64_t frame);                  /* free one frame, without the checks */
    bool take_range(unsigned s, uint64_t frame, uint64_t n, bool run);
    bool take_whole(uint32_t b, unsigned order);
    int put_whole(uint32_t b, unsigned order);         /* the shadow is left alone */
    void free(unsigned s, uint64_t frame, uint64_t n); /* by the public call; it must be good */

    /* ---- After all are done ---- */
    void verify() const;
    uint64_t frames_held() const; /* in the shadow */

    uint32_t desc(uint32_t b) const
    {
        return qa_load(desc_of(&z, b), relaxed);
    }

    bool section_bit(uint32_t b) const
    {
        return qa_load(block_word(&z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
    }

    struct quire_zone z = {};
    struct quire_zone_head head = {};

  private:
    void share_block(uint32_t b, unsigned shared);
    void verify_block(uint32_t b) const;
    void verify_split(uint32_t b) const;
    void touch_word(uint32_t b, unsigned word, uint64_t bits);
    uint64_t free_frames() const;
    void touch(uint64_t frame, uint64_t n);
    void count(int64_t n);

    struct map512 lines_[SECTIONS], gone_[SECTIONS];
    struct map512 maps_[BLOCKS * 2];
    qa32 descs_[WIDE];
    qa8 fulls_[WIDE], holes_[WIDE], sparse_[SECTIONS], wholes_[SECTIONS];
    qa8 tenants_[SECTIONS * MAP_WORDS];
    struct quire_slot_state slots_[SLOTS];
    struct quire_pin pins_[PINNED];
    uint32_t blocks_;
    unsigned number_, shared_ = 0;
    uint64_t held_[BLOCKS][MAP_WORDS] = {};   /* the shadow of the frame maps */
    uint64_t inside_[BLOCKS][MAP_WORDS] = {}; /* the shadow of the run maps */
};

/* The world of the current execution; where several zones are side by side, the first of them. */
extern World *world;
extern World *worlds[World::WORLDS];

/* A scenario in a world of `blocks` blocks. */
class InWorld : public Scenario
{
  public:
    explicit InWorld(uint32_t blocks = 1) : blocks_(blocks)
    {
    }

    void before() final;
    void after() final;

  protected:
    ~InWorld() = default;
    virtual void setup() = 0;
    virtual void check()
    {
        world->verify();
    }

  private:
    uint32_t blocks_;
};

/* Two words a line are few enough for a full search. */
enum { SMALL = MAP_WORDS == 2 };
static const Search FULL_IF_SMALL = SMALL ? Search::FULL : Search::BOUND;
static const Search FULL_OR_RANDOM = SMALL ? Search::FULL : Search::RANDOM;

static inline quire_slot slot(unsigned i)
{
    return quire_slot_of(i);
}

/* Frame `bit` of word `word` of block b. */
static inline uint64_t at(uint32_t b, unsigned word, unsigned bit)
{
    return frame_at(b, word * WORD_BITS + bit);
}

#endif /* QUIRE_STRESS_CORE_RELACY_WORLD_HPP */
