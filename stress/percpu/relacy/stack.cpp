/* SPDX-License-Identifier: MIT
 *
 * stack.cpp - the depot's own stack: no node is lost, none is had by two, and what was written into
 * a node comes with it. White-box.
 *
 * Every node has a payload, which whoever holds the node writes and reads without order of its own:
 * a race for it says that two hold the node, or that a release or an acquire is missing.
 */
#include "stress/common/relacy/explore.hpp"
#include "stress/common/relacy/library.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a structure and a function of the same name */
#include "percpu/stack.h"
#pragma GCC diagnostic pop

namespace
{

enum { NODES = 3 };

struct World {
    struct stack full, empty;
    struct stack_node node[NODES];
    rl::var<unsigned> payload[NODES];
    struct stack_nodes nodes;
};

/* Relacy gives its test object only the alignment of malloc, so the world lives here. */
alignas(World) unsigned char room[sizeof(World)];
World *world;

void put(struct stack *stack, unsigned number)
{
    stack_push(stack, &world->node[number - 1]);
}

/* The number of the node, 0 if there is none. */
unsigned get(struct stack *stack)
{
    struct stack_node *node = stack_pop(stack, &world->nodes);

    return node ? node->number : 0;
}

void write(unsigned number, unsigned value)
{
    world->payload[number - 1]($).store(value);
}

unsigned read(unsigned number)
{
    return world->payload[number - 1]($).load();
}

class InStack : public Scenario
{
  public:
    void before() final
    {
        void *bytes = room, *first;

        world = ::new (bytes) World();
        first = world->node;
        world->nodes.first = static_cast<unsigned char *>(first);
        world->nodes.stride = sizeof world->node[0];
        world->full.top.share();
        world->empty.top.share();
        for (unsigned i = 0; i < NODES; i++) {
            world->node[i].number = i + 1;
            world->node[i].below.share();
            world->payload[i]($).store(0);
            had_[i] = false;
        }
        setup();
    }

    /* Every node is on a stack once, or was had in the end by one thread. */
    void after() final
    {
        for (struct stack *stack : {&world->full, &world->empty})
            for (unsigned number = get(stack); number; number = get(stack))
                have(number);
        for (bool had : had_)
            require(had, "a node is lost");
        world->~World();
    }

  protected:
    ~InStack() = default;
    virtual void setup() = 0;

    /* The caller keeps this node. */
    void have(unsigned number)
    {
        require(!had_[number - 1], "a node is had by two");
        had_[number - 1] = true;
        write(number, 9);
    }

  private:
    bool had_[NODES];
};

/* Two push, and who pops sees what they wrote. */
class PushesAndPop : public InStack
{
    void setup() override
    {
        put(&world->full, 3);
    }

    void thread(unsigned index) override
    {
        unsigned number;

        if (index < 2) {
            write(index + 1, index + 1);
            put(&world->full, index + 1);
            return;
        }
        number = get(&world->full);
        require(number, "a stack that is never empty had nothing");
        require(number == 3 || read(number) == number, "what was written is not there");
        have(number);
    }
};

/* One pops two nodes and puts the first of them back, while another is in the middle of a pop: the
 * top is what it was, its link is not. */
class Back : public InStack
{
    void setup() override
    {
        put(&world->full, 2);
        put(&world->full, 1);
        put(&world->empty, 3);
    }

    void thread(unsigned index) override
    {
        unsigned first = get(&world->full), second;

        if (index == 1) {
            if (first)
                have(first);
            return;
        }
        second = get(&world->full);
        if (second)
            have(second);
        if (first) {
            write(first, 7);
            put(&world->full, first);
        }
    }
};

/* As the depot does: one fills empty nodes, the other empties full ones. */
class GiveAndGet : public InStack
{
    void setup() override
    {
        for (unsigned number = NODES; number > 0; number--)
            put(&world->empty, number);
    }

    void thread(unsigned index) override
    {
        for (unsigned i = 0; i < 2; i++) {
            unsigned number = get(index ? &world->full : &world->empty);

            if (number == 0)
                continue;
            if (index)
                require(read(number) == 5, "what was written is not there");
            else
                write(number, 5);
            put(index ? &world->empty : &world->full, number);
        }
    }
};

PushesAndPop pushes_and_pop;
Back back;
GiveAndGet give_and_get;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv,
                   {
                       {"two_pushes", pushes_and_pop, 2, Search::FULL, 0},
                       {"pushes_and_pop", pushes_and_pop, 3, Search::BOUND, 4},
                       {"back", back, 2, Search::FULL, 0},
                       {"back_beside_another", back, 3, Search::BOUND, 3},
                       {"give_and_get", give_and_get, 2, Search::BOUND, 5},
                   });
}
