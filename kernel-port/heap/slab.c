/* SPDX-License-Identifier: MIT
 *
 * slab.c - a slab is a zone in small: its map says which objects are taken, by one bit each.
 *
 * Take: set a free bit by compare-and-swap. Put: clear it by one read-modify-write, which tells
 * whether it was set. That is all, but for three questions.
 *
 * Which slab? A CPU takes from its active slab of the bin. If that is full it takes the slab on top
 * of its stack of the bin in its place, and makes a slab if the stack is empty. The top is the slab
 * that was full last, so those that are used least lie below, and run empty. A slab is listed in
 * the stack of the CPU that it was active on last, whoever frees objects of it: otherwise marks of
 * objects that two CPUs have would lie on one line, which each hit writes. CPUs have a stack each,
 * up to BIN_STACKS. One whose stack is empty takes a slab from a stack whose slabs have more
 * than PARTIAL_FRAMES, or than one frame in PARTIAL_SHARE, or than its part of what is so bounded
 * for all stacks, and makes one if there is no such stack: so CPUs keep no more from each other. It
 * takes from any stack also where more than DEAD_MOST slabs of the bin, and one for each CPU, are
 * dead and listed, as these keep descriptors from other bins. When no slab can be made it takes
 * from any stack, before it gives anything back or looks at all slabs.
 *
 * When is a slab listed? The danger is a slab with free objects that is in no stack and is no CPU's
 * active one. A slab is listed (SLAB_LISTED) while somebody has it as a hint, which is one stack,
 * one CPU, or one call on the way: whoever takes it from there has the token, and alone may put it
 * elsewhere.
 *
 *   leave a full one:  place &= ~LISTED;  E-slab-look;  if the map has a free bit: list it
 *   put:               map &= ~bit;       E-slab-look;  if it is not listed: list it
 *
 * Listing is a compare-and-swap of LISTED, and who sets it pushes the slab. Whichever fence comes
 * second, its side sees what the other did. These must look: a put whose word was all taken before
 * (else the word's free bits were announced, or are about to be, by the put that cleared the first
 * of them), and whoever undoes a claim.
 *
 * When does a slab go? The put that takes the last object out remembers the slab as its CPU's spare
 * of the bin, and the spare before it, if it is empty still, is retired: claimed by setting all its
 * bits word by word, ascending, with an undo. Then nobody can have an object of it: its words of
 * the frame table are cleared, its frames go back, and it is DEAD. Being listed it stays where it
 * is; who finds it there puts it with the unused descriptors, from where it comes to life again, in
 * the same bin. (If there is no other descriptor it is taken from the CPU whose active one it is.)
 * Two puts that empty different words of a slab: each looks at the other words behind E-slab-look,
 * so one of them sees all empty. A retirement that fails at a word undoes its claim and looks
 * again, as the put that emptied that word may have seen the claimed ones as full.
 *
 * When is a request refused? When the machine has no frames, and a last look at all slabs of the
 * bin, listed or not, finds all full. The danger is a free object that moves: one is freed in a
 * slab that was looked at, and one taken in a slab that was not yet. So each set of CPUs counts,
 * for the bin, what makes an object free: each put, the undo of a claim, a slab that is made; and a
 * slab whose frames go to the machine, which was asked before. Who is about to refuse looks again,
 * and asks the machine again, while a count moved:
 *
 *   look:  all counts;  the machine, all maps;  E-bin-look;  the counts again
 *   put:   map &= ~bit;  its own count += 1;  E-bin-look;  whatever comes after it, so each take
 *
 * A word that was seen full then is full at the second count, but for what calls that are not over
 * are about to give back; so at that moment all were. (Were a put counted only where its word was
 * full, the second one of a word would not be, and be over while the first has not counted yet.)
 *
 *   SL1  A bit is cleared by who has the object, or has claimed it, or has the token of a slab that
 *        is dead. So nobody but the last writes to the map of a dead slab.
 *   SL2  A slab that has a free bit is listed, or a call that is not over is about to list it.
 *   SL3  `at`, the frames and the constructed objects do not change while a bit is free or taken by
 *        somebody: they are written before the map is (E-object), and by who has the token.
 *   SL4  `node.extra` is written by who has the token and makes the slab active: E-slab-active
 *        carries it, and E-slab-token when it is left.
 *
 * Who beside whom: all beside all. A taker that read a number, or popped a slab, long ago finds its
 * map full, or takes an object of the same bin (HE2), with what E-object carries. The last look
 * before a refusal is at all descriptors, so a call that is stopped with a slab's token keeps no
 * free object from others; one that is stopped while it claims a slab keeps those it has claimed.
 *
 * Progress: a compare-and-swap is repeated when another call changed the same word; a pop when the
 * slab that it got was dead or full: that one comes back into the stack only by what another
 * call does; the last look, when another call freed an object, made a slab or gave one back, or one
 * that claimed a slab was stopped by who took its object. Any context.
 */
#include "state.h"
#include "who/asan.h"

/* ---- The map ------------------------------------------------------------------------------- */

/* Take any free object; its index, or SLAB_OBJECTS if none is free. */
static unsigned slab_take(const struct size_class *c, struct slab *s)
{
    for (unsigned w = 0; w < c->words; w++) {
        uint64_t v = qa_load(&s->map[w], relaxed); /* relaxed: the exchange decides */

        while (~v) {
            /* E-object acquire: its last owner is done with it; the slab's address, and what was
             * constructed */
            if (qa_cas(&s->map[w], &v, v | (v + 1), acquire))
                return w * WORD_BITS + word_first(~v);
        }
    }
    return SLAB_OBJECTS;
}

/* Take several free objects of one word at once; how many. */
static unsigned slab_take_some(const struct size_class *c, struct slab *s, unsigned most,
                               void *objects[])
{
    for (unsigned w = 0; w < c->words; w++) {
        uint64_t v = qa_load(&s->map[w], relaxed); /* relaxed: the exchange decides */

        while (~v) {
            uint64_t mine = word_lowest(~v, most);
            unsigned n = 0;

            /* E-object acquire: as above */
            if (!qa_cas(&s->map[w], &v, v | mine, acquire))
                continue;
            for (; mine; mine &= mine - 1)
                objects[n++] = object_at(c, s, w * WORD_BITS + word_first(mine));
            return n;
        }
    }
    return 0;
}

static bool slab_has_free(const struct size_class *c, const struct slab *s)
{
    for (unsigned w = 0; w < c->words; w++)
        if (qa_load(&s->map[w], relaxed) != WORD_FULL) /* relaxed: ordered by E-slab-look */
            return true;
    return false;
}

static bool slab_is_empty(const struct size_class *c, const struct slab *s)
{
    for (unsigned w = 0; w < c->words; w++)
        if (qa_load(&s->map[w], relaxed) != c->empty[w]) /* relaxed: ordered by E-slab-look */
            return false;
    return true;
}

/* ---- Where a slab is listed ---------------------------------------------------------------- */

static uint32_t index_of_bin(const struct heap *h, const struct bin *bin)
{
    return (uint32_t)(bin - h->bins);
}

static struct bin *bin_of_owner(const struct heap *h, uint32_t owner)
{
    return &h->bins[bin_index(h, owner_class(owner), owner_node(owner))];
}

static struct bin *bin_of_slab(const struct heap *h, const struct slab *s)
{
    return bin_of_owner(h, qa_load(&s->owner, relaxed)); /* relaxed: constant, by HE2 */
}

/* What the CPUs of a stack have of the bin. */
static struct partial_slabs *partial_of(const struct heap *h, const struct bin *bin, uint32_t stack)
{
    return partial_at(h, stack, index_of_bin(h, bin));
}

/* The stack that a CPU's slabs are listed in. */
static uint32_t stack_of_cpu(const struct heap *h, uint32_t cpu)
{
    return cpu & h->stack_mask;
}

/* Objects became free, or frames went: who is about to refuse looks again. The caller has the fence
 * of E-bin-look next. */
static void bin_move(const struct heap *h, const struct bin *bin)
{
    uint32_t own = stack_of_cpu(h, cpu_now(h));

    /* E-bin-moved release: the bits are clear */
    (void)qa_add(&partial_of(h, bin, own)->moves, 1, release);
}

static struct slab *slab_pop(const struct heap *h, struct stack *stack)
{
    void *node = stack_pop(stack, &h->nodes_of_slabs); /* the first member */

    return (struct slab *)node;
}

/* Put a slab whose token is the caller's with those of the CPU that it was active on. */
static void partial_push(const struct heap *h, const struct bin *bin, struct slab *s)
{
    struct partial_slabs *partial = partial_of(h, bin, s->node.extra);

    (void)qa_add(&partial->count, 1, relaxed); /* relaxed: a hint; E-depot keeps it above 0 */
    stack_push(&partial->stack, &s->node);
}

/* Take one, and its token. NULL: there is none. */
static struct slab *partial_pop(const struct heap *h, struct partial_slabs *partial)
{
    struct slab *s = slab_pop(h, &partial->stack);

    if (s)
        (void)qa_sub(&partial->count, 1, relaxed); /* relaxed: a hint */
    return s;
}

/* A free bit, or DEAD, came: list the slab unless it is. The caller's last write was a
 * read-modify-write. */
static void slab_list(struct heap *h, struct slab *s)
{
    uint32_t v;

    qa_fence_after_rmw();            /* E-slab-look fence: the bit is clear before the look */
    v = qa_load(&s->place, relaxed); /* relaxed: ordered by E-slab-look */
    while (!(v & SLAB_LISTED)) {
        /* E-slab-token acquire: who had it before is done with the link */
        if (qa_cas(&s->place, &v, v | SLAB_LISTED, acquire)) {
            partial_push(h, bin_of_slab(h, s), s);
            return;
        }
    }
}

/* The token is the caller's, who has no place for the slab. */
static void slab_leave(struct heap *h, const struct size_class *c, struct slab *s)
{
    /* E-slab-token release: the caller is done with it */
    uint32_t old = qa_and(&s->place, ~(uint32_t)SLAB_LISTED, release);

    qa_fence_after_rmw(); /* E-slab-look fence: it is not listed before the look at the map */
    if ((old & SLAB_DEAD) || slab_has_free(c, s))
        slab_list(h, s);
}

/* Make the slab, whose token is the caller's, the active one of a CPU that has this stack. */
static void active_change(struct heap *h, const struct size_class *c, qa32 *active, uint32_t own,
                          struct slab *s)
{
    s->node.extra = own; /* SL4 */
    /* E-slab-active acquire: who put the old one there is done with it; E-slab-active release: so
     * is the caller */
    uint32_t old = qa_xchg(active, s->node.number, acq_rel);

    if (old)
        slab_leave(h, c, slab_of(h, old));
}

/* ---- Slabs come and go --------------------------------------------------------------------- */

/* Claim a slab that is empty: all its bits. */
static bool slab_claim(struct heap *h, const struct size_class *c, struct slab *s)
{
    for (;;) {
        unsigned w = 0;

        for (; w < c->words; w++) {
            uint64_t v = c->empty[w];

            /* E-object acquire: the last owners are done with the objects */
            if (!qa_cas(&s->map[w], &v, WORD_FULL, acquire))
                break;
        }
        if (w == c->words)
            return true;
        if (w == 0)
            return false;
        while (w-- > 0)
            /* E-object release: as it was acquired */
            (void)qa_and(&s->map[w], c->empty[w], release);
        bin_move(h, bin_of_slab(h, s));
        slab_list(h, s);
        /* Again only if another call freed the object at which the claim failed. */
        if (!slab_is_empty(c, s))
            return false;
    }
}

uint64_t qi_slab_retire(struct heap *h, struct slab *s)
{
    uint32_t owner = qa_load(&s->owner, relaxed); /* relaxed: constant, by HE2 */
    const struct size_class *c = &h->classes[owner_class(owner)];
    struct bin *bin = bin_of_owner(h, owner);
    uint64_t frames = (uint64_t)1 << c->order, first, given;

    if (!slab_claim(h, c, s))
        return 0;
    first = pfn_of_address(h, s->at);
    for (uint64_t i = 0; i < frames; i++)
        qa_store(frame_word(h, first + i), 0, relaxed); /* relaxed: nobody has an object here */
    given = h->watch ? qi_records_clear(h, s) : 0;
    bytes_allow(s->at, (size_t)frames << QUIRE_FRAME_SHIFT);
    (void)qi_frames_put(h, quire_pfn_of(first), c->order);
    (void)qa_add(&bin->dead, 1, relaxed); /* relaxed: a hint; E-slab-dead has it */
    /* E-slab-dead release: who makes it anew comes after this */
    (void)qa_or(&s->place, SLAB_DEAD, release);
    slab_list(h, s);
    bin_move(h, bin);     /* who sees it finds frames and descriptor */
    qa_fence_after_rmw(); /* E-bin-look fence: counted before an object of another slab is taken */
    return given + frames;
}

/* The slab ran empty: it is kept, and the one that the CPU kept before it goes. Frames that went.
 */
static uint64_t slab_emptied(struct heap *h, uint32_t owner, const struct slab *s)
{
    uint32_t index = bin_index(h, owner_class(owner), owner_node(owner));
    uint32_t number = s->node.number, old;
    qa32 *spare = &cpu_bin_of(h, cpu_now(h), index)->spare;

    if (qa_load(spare, relaxed) == number) /* relaxed: a hint */
        return 0;
    /* E-slab-spare acquire: the old one's bin is written; E-slab-spare release: so is this one's */
    old = qa_xchg(spare, number, acq_rel);
    return old && old != number ? qi_slab_retire(h, slab_of(h, old)) : 0;
}

/* A dead slab of the bin that a CPU has still as its active one, and its token. NULL: none. */
static struct slab *slab_dead_active(struct heap *h, struct bin *bin)
{
    uint32_t index = index_of_bin(h, bin);

    for (uint32_t cpu = 0; cpu < h->cpus; cpu++) {
        qa32 *active = &cpu_bin_of(h, cpu, index)->active;
        uint32_t number = qa_load(active, relaxed); /* relaxed: the exchange decides */

        /* relaxed: looked at again */
        if (!number || !(qa_load(&slab_of(h, number)->place, relaxed) & SLAB_DEAD))
            continue;
        /* E-slab-active acquire: who put it there is done with it */
        if (!qa_cas(active, &number, 0, acquire))
            continue;
        /* E-slab-dead acquire: who retired it is done with it */
        if (qa_load(&slab_of(h, number)->place, acquire) & SLAB_DEAD) {
            (void)qa_sub(&bin->dead, 1, relaxed); /* relaxed: a hint */
            return slab_of(h, number);
        }
        /* made anew, and back there */
        partial_push(h, bin, slab_of(h, number));
    }
    return NULL;
}

/* A descriptor without frames, and its token: one of the bin's, else one that has no owner. NULL:
 * there is none. */
static struct slab *slab_unused(struct heap *h, const struct size_class *c, struct bin *bin)
{
    struct slab *s = slab_pop(h, &bin->unused);
    uint32_t count;

    if (!s)
        s = slab_pop(h, &h->pool[descriptors_of(c) - 1]);
    if (s)
        return s;
    count = qa_load(&h->slab_count, relaxed); /* relaxed: the exchange decides */
    do {
        if (count + descriptors_of(c) > h->slab_most)
            return slab_dead_active(h, bin);
        /* relaxed: zeros, from init */
    } while (!qa_cas(&h->slab_count, &count, count + descriptors_of(c), relaxed));
    s = slab_of(h, count + 1);
    s->node.number = count + 1;
    for (unsigned w = 0; w < SLAB_WORDS; w++)
        qa_store(&s->map[w], WORD_FULL, relaxed);          /* relaxed: E-slab-owner has it */
    qa_store(&s->place, SLAB_LISTED | SLAB_DEAD, relaxed); /* relaxed: E-slab-owner has it */
    return s;
}

/* Make a slab of which object 0 is the caller's, and the token, too. */
static int slab_make(struct heap *h, const struct size_class *c, struct bin *bin, uint32_t flags,
                     struct slab **made)
{
    struct slab *s = slab_unused(h, c, bin);
    quire_pfn pfn;
    int error;

    if (!s)
        return QUIRE_ERR_FULL;
    /* E-slab-owner release: the map is full, for who looks at all slabs */
    qa_store(&s->owner, bin->number, release);
    error = c->of_reserve ? qi_reserve_get(h, &pfn)
                          : qi_frames_get(h, c->order, owner_node(bin->number), flags, &pfn);
    if (error) {
        stack_push(&bin->unused, &s->node);
        return error;
    }
    s->at = address_of_pfn(h, pfn);
    for (uint64_t i = 0; i < (uint64_t)1 << c->order; i++)
        /* relaxed: who frees an object has it from E-object */
        qa_store(frame_word(h, pfn.n + i),
                 slab_frame_word(s->node.number, owner_class(bin->number)), relaxed);
    for (unsigned i = 0; c->construct && i < c->objects; i++)
        c->construct(c->ctx, object_at(c, s, i));
    bytes_forbid(s->at, (size_t)QUIRE_FRAME_SIZE << c->order);
    (void)qa_and(&s->place, ~(uint32_t)SLAB_DEAD, relaxed); /* relaxed: the caller's */
    for (unsigned w = 0; w < c->words; w++)
        /* E-object release: the slab's address, and what was constructed */
        qa_store(&s->map[w], c->empty[w] | (w == 0), release);
    bin_move(h, bin);
    qa_fence_after_rmw(); /* E-bin-look fence: counted before an object of another slab is taken */
    *made = s;
    return 0;
}

/* ---- Objects ------------------------------------------------------------------------------- */

/* From a slab that was listed in this stack; its token goes with it. NULL: there is none. */
static struct slab *take_listed(struct heap *h, const struct size_class *c, struct bin *bin,
                                uint32_t own, unsigned *index)
{
    struct slab *s;

    while ((s = partial_pop(h, partial_of(h, bin, own)))) {
        /* E-slab-dead acquire: who retired it is done with it */
        if (qa_load(&s->place, acquire) & SLAB_DEAD) {
            (void)qa_sub(&bin->dead, 1, relaxed); /* relaxed: a hint */
            stack_push(&bin->unused, &s->node);
            continue;
        }
        *index = slab_take(c, s);
        if (*index < SLAB_OBJECTS)
            return s;
        slab_leave(h, c, s);
    }
    return NULL;
}

/* Of all CPUs' counts. The sum is what it was only if each count is, as none falls. */
static uint64_t bin_moves(const struct heap *h, const struct bin *bin)
{
    uint64_t sum = 0;

    for (uint32_t stack = 0; stack <= h->stack_mask; stack++)
        /* E-bin-moved acquire: the bits are clear */
        sum += qa_load(&partial_of(h, bin, stack)->moves, acquire);
    return sum;
}

/* Did objects move since? Then there may be one where the caller has looked already. */
static bool bin_moved(const struct heap *h, const struct bin *bin, uint64_t *moves)
{
    uint64_t before = *moves;

    qa_fence_seq_cst(); /* E-bin-look fence: what was seen taken comes before the look */
    *moves = bin_moves(h, bin);
    return *moves != before;
}

/* The last look before a refusal: at all slabs of the bin, listed or not. */
static void *take_any(struct heap *h, const struct size_class *c, const struct bin *bin)
{
    uint32_t count = qa_load(&h->slab_count, relaxed); /* relaxed: newer ones came meanwhile */

    for (uint32_t number = 1; number <= count; number++) {
        struct slab *s = slab_of(h, number);
        unsigned index;

        /* E-slab-owner acquire: its map, full or as it was published since */
        if (qa_load(&s->owner, acquire) != bin->number)
            continue;
        index = slab_take(c, s);
        if (index < SLAB_OBJECTS)
            return object_at(c, s, index);
    }
    return NULL;
}

/* From a slab listed in the caller's stack and the others (`from` 0), or in the others alone (1),
 * of those that have more than `left` slabs; 0: of any. */
static struct slab *take_from_stacks(struct heap *h, const struct size_class *c, struct bin *bin,
                                     uint32_t own, uint32_t from, uint32_t left, unsigned *index)
{
    struct slab *s = NULL;

    for (uint32_t i = from; i <= h->stack_mask && !s; i++) {
        uint32_t other = (own + i) & h->stack_mask;

        /* relaxed: a hint; where all are wanted it is not asked */
        if (left == 0 || qa_load(&partial_of(h, bin, other)->count, relaxed) > left)
            s = take_listed(h, c, bin, other, index);
    }
    return s;
}

/* A slab with an object, `*index`, for the caller, and its token: one that is listed in this stack;
 * else one of another stack, if that has many, or many are dead and so hold descriptors; else a new
 * one; else one of any stack. This one is among them: what was listed there since the first look,
 * and is dead, is not told by the counts, as they are read later. */
static int slab_find(struct heap *h, const struct size_class *c, struct bin *bin, uint32_t own,
                     uint32_t flags, uint64_t *moves, struct slab **s, unsigned *index)
{
    uint32_t left = h->partial_frames >> c->order;
    int error;

    /* relaxed: a hint */
    if (qa_load(&bin->dead, relaxed) > DEAD_MOST + h->cpus)
        left = 0;

    *s = take_listed(h, c, bin, own, index);
    if (!*s)
        *s = take_from_stacks(h, c, bin, own, 1, left, index);
    if (*s)
        return 0;
    *index = 0; /* what was looked at before was full */
    *moves = bin_moves(h, bin);
    error = slab_make(h, c, bin, flags, s);
    if (error && (*s = take_from_stacks(h, c, bin, own, 0, 0, index)))
        return 0;
    if (error == QUIRE_ERR_FULL) {
        *index = 0;
        error = slab_make(h, c, bin, flags, s);
    }
    return error;
}

__attribute__((__noinline__)) static int take_beyond_active(struct heap *h,
                                                            const struct size_class *c,
                                                            struct bin *bin, uint32_t cpu,
                                                            uint32_t flags, void **object)
{
    qa32 *active = &cpu_bin_of(h, cpu, index_of_bin(h, bin))->active;
    uint32_t own = stack_of_cpu(h, cpu);
    uint64_t moves = 0;
    unsigned index;
    struct slab *s;
    int error = slab_find(h, c, bin, own, flags, &moves, &s, &index);

    /* What went back may be listed where this call has looked already. */
    for (unsigned step = 0; error && error != QUIRE_ERR_FRAME && step < GIVE_BACK_STEPS; step++)
        if (qi_heap_give_back(h, flags, step))
            error = slab_find(h, c, bin, own, flags, &moves, &s, &index);
    while (error) {
        *object = take_any(h, c, bin);
        if (*object)
            return 0;
        if (!bin_moved(h, bin, &moves))
            break;
        error = slab_find(h, c, bin, own, flags, &moves, &s, &index);
    }
    if (!error) {
        *object = object_at(c, s, index);
        active_change(h, c, active, own, s);
        return 0;
    }
    if (flags & QUIRE_EMERGENCY) {
        uint32_t owner = bin->number;

        error = qi_reserve_take(h, owner_class(owner), owner_node(owner), flags, error, object);
    }
    if (error && !c->of_reserve) /* of which nobody asks but who is refused by another class */
        (void)qa_add(&bin->refusals, 1, relaxed); /* relaxed: a statistic */
    return error;
}

int qi_object_take(struct heap *h, uint32_t class_number, uint32_t node, uint32_t flags,
                   void **object)
{
    const struct size_class *c = &h->classes[class_number];
    uint32_t index = bin_index(h, class_number, node), cpu = cpu_now(h);
    /* relaxed: a hint; E-object has what a taker reads */
    uint32_t number = qa_load(&cpu_bin_of(h, cpu, index)->active, relaxed);

    if (number) {
        struct slab *s = slab_of(h, number);
        unsigned i = slab_take(c, s);

        if (i < SLAB_OBJECTS) {
            *object = object_at(c, s, i);
            return 0;
        }
    }
    return take_beyond_active(h, c, &h->bins[index], cpu, flags, object);
}

size_t qi_objects_take(struct heap *h, uint32_t class_number, uint32_t node, size_t most,
                       void *objects[])
{
    const struct size_class *c = &h->classes[class_number];
    uint32_t index = bin_index(h, class_number, node);
    /* relaxed: a hint; E-object has what a taker reads */
    uint32_t number = qa_load(&cpu_bin_of(h, cpu_now(h), index)->active, relaxed);

    if (!number)
        return 0;
    return slab_take_some(c, slab_of(h, number), most < WORD_BITS ? (unsigned)most : WORD_BITS,
                          objects);
}

/* The slab's word became `now`: count it, and see to the slab's listing and its end. The caller's
 * last access was the one that did it. Frames that went. */
static uint64_t put_announce(struct heap *h, struct slab *s, unsigned w, uint64_t old, uint64_t now)
{
    uint32_t owner = qa_load(&s->owner, relaxed); /* relaxed: constant, by HE2 */
    const struct size_class *c = &h->classes[owner_class(owner)];

    bin_move(h, bin_of_owner(h, owner));
    /* E-slab-look fence: the bit is clear before the look at other words. E-bin-look fence: counted
     * before another object is taken. */
    qa_fence_after_rmw();
    if (old == WORD_FULL)
        slab_list(h, s);
    if (now == c->empty[w] && (c->words == 1 || slab_is_empty(c, s)))
        return slab_emptied(h, owner, s);
    return 0;
}

int qi_object_put(struct heap *h, struct slab *s, unsigned index)
{
    unsigned w = index / WORD_BITS;
    uint64_t bit = (uint64_t)1 << index % WORD_BITS;
    /* E-object release: the owner is done with the object */
    uint64_t old = qa_and(&s->map[w], ~bit, release), now = old & ~bit;

    if (!(old & bit))
        return QUIRE_ERR_DOUBLE_FREE;
    (void)put_announce(h, s, w, old, now);
    return 0;
}

uint64_t qi_objects_put(struct heap *h, struct slab *s, unsigned w, uint64_t mine)
{
    /* E-object release: who freed the objects is done with them */
    uint64_t old = qa_and(&s->map[w], ~mine, release), now = old & ~mine;

    return now != old ? put_announce(h, s, w, old, now) : 0;
}

/* ---- All slabs ----------------------------------------------------------------------------- */

bool qi_class_visit(struct heap *h, uint32_t class_number)
{
    struct size_class *c = &h->classes[class_number];

    if (class_number < QUIRE_HEAP_CLASSES)
        return true;
    (void)qa_add(&c->visitors, 1, relaxed); /* relaxed: ordered by E-class-visit */
    qa_fence_after_rmw();                   /* E-class-visit fence: counted before the look */
    /* E-object-cache acquire: the class is made */
    if (qa_load(&c->in_use, acquire) == CLASS_IN_USE)
        return true;
    qi_class_leave(h, class_number);
    return false;
}

void qi_class_leave(struct heap *h, uint32_t class_number)
{
    if (class_number >= QUIRE_HEAP_CLASSES)
        /* E-class-left release: the visitor is done with the class */
        (void)qa_sub(&h->classes[class_number].visitors, 1, release);
}

/* Retire the slab if it is empty, and its class is none that ends. */
static uint64_t slab_visit(struct heap *h, struct slab *s)
{
    uint32_t owner = qa_load(&s->owner, relaxed), again; /* relaxed: looked at again */
    uint64_t frames = 0;

    if (!owner || !qi_class_visit(h, owner_class(owner)))
        return 0;
    again = qa_load(&s->owner, acquire); /* E-slab-owner acquire: its map, full or as published */
    if (again == owner)
        frames = qi_slab_retire(h, s);
    qi_class_leave(h, owner_class(owner));
    return frames;
}

uint64_t qi_slabs_trim(struct heap *h)
{
    uint32_t count = qa_load(&h->slab_count, relaxed); /* relaxed: advisory */
    uint64_t frames = h->watch ? qi_records_collect(h) : 0;

    /* Records fall empty when the slabs of their objects go. */
    for (unsigned pass = 0; pass < (h->watch ? 2 : 1); pass++)
        for (uint32_t number = 1; number <= count; number++)
            frames += slab_visit(h, slab_of(h, number));
    return frames;
}

static void slab_disown(struct heap *h, const struct size_class *c, struct slab *s)
{
    if (h->watch)
        qi_records_disown(h, s);
    qa_store(&s->owner, 0, relaxed); /* relaxed: the caller's */
    stack_push(&h->pool[descriptors_of(c) - 1], &s->node);
}

static void bin_end(struct heap *h, uint32_t index)
{
    const struct size_class *c = &h->classes[index / h->nodes];
    struct bin *bin = &h->bins[index];
    struct slab *s;

    for (uint32_t cpu = 0; cpu < h->cpus; cpu++) {
        struct cpu_bin *cpu_bin = cpu_bin_of(h, cpu, index);
        uint32_t number = qa_load(&cpu_bin->active, relaxed); /* relaxed: the caller's */

        if (number)
            slab_disown(h, c, slab_of(h, number));
        qa_store(&cpu_bin->active, 0, relaxed); /* relaxed: the caller's */
        qa_store(&cpu_bin->spare, 0, relaxed);  /* relaxed: the caller's */
    }
    for (uint32_t stack = 0; stack <= h->stack_mask; stack++)
        while ((s = partial_pop(h, partial_at(h, stack, index))))
            slab_disown(h, c, s);
    while ((s = slab_pop(h, &bin->unused)))
        slab_disown(h, c, s);
    qa_store(&bin->dead, 0, relaxed); /* relaxed: the caller's */
}

void qi_class_end(struct heap *h, uint32_t class_number)
{
    uint32_t count = qa_load(&h->slab_count, relaxed); /* relaxed: the caller knows of his own */

    for (uint32_t number = 1; number <= count; number++) {
        struct slab *s = slab_of(h, number);
        uint32_t owner = qa_load(&s->owner, acquire); /* E-slab-owner acquire: its map */

        if (owner && owner_class(owner) == class_number)
            (void)qi_slab_retire(h, s);
    }
    for (uint32_t node = 0; node < h->nodes; node++)
        bin_end(h, bin_index(h, class_number, node));
}
