/* SPDX-License-Identifier: MIT
 *
 * built.cpp - a zone is built in memory that others know already, who attach to it as soon as they
 * see that it is built: they see all of it. White-box.
 *
 * The sources are core/zone/zone.c and metadata.c, which no other interleaving test has. The magic
 * number and the count are shared words; what else is built is plain memory, and the count stands
 * for it.
 */
#include "stress/common/relacy/explore.hpp"
#include "world/core.hpp"

#include <cstring>

/* The memory is zeros already, and its shared words are to stay what they are. */
static void *already_zero(void *memory, int value, size_t bytes)
{
    (void)value;
    (void)bytes;
    return memory;
}

#define _Static_assert static_assert
#define __builtin_memset already_zero /* NOLINT(bugprone-reserved-identifier) */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "core/zone/metadata.c"
#include "core/zone/zone.c"
#pragma GCC diagnostic pop

#undef __builtin_memset

namespace
{

alignas(QUIRE_METADATA_ALIGN) unsigned char memory[128 << 10];

class BuildAndAttach : public Scenario
{
    void before() override
    {
        void *bytes = memory;

        memset(memory, 0, sizeof memory);
        head_ = static_cast<struct quire_zone_head *>(bytes);
        head_->magic.share();
        head_->total.share();
        builder_ = attached_ = {};
    }

    void thread(unsigned index) override
    {
        const struct quire_run usable = {quire_pfn_of(0), BLOCK_FRAMES};
        struct quire_zone_config config = {};

        if (index == 1) {
            attach();
            return;
        }
        config.slots = 1;
        config.usable = &usable;
        config.usable_count = 1;
        config.min = config.low = config.high = QUIRE_WATERMARK_AUTO;
        require(!quire_zone_init(&builder_, &config, memory, sizeof memory), "not built");
    }

    void attach()
    {
        struct quire_port port = {};
        int error = quire_zone_attach(&attached_, memory, sizeof memory, &port);

        require(!error || error == QUIRE_ERR_UNSUPPORTED, "not the error of what is not built");
        require(error || quire_zone_free_frames(&attached_) == BLOCK_FRAMES,
                "attached to a zone that is not built");
    }

    void after() override
    {
        attached_ = {};
        attach();
        require(attached_.head == head_, "a zone that is built was refused");
    }

    struct quire_zone_head *head_;
    struct quire_zone builder_, attached_;
};

BuildAndAttach build_and_attach;

} /* namespace */

int main(int argc, char **argv)
{
    return explore(argc, argv, {{"build_and_attach", build_and_attach, 2, Search::FULL, 0}});
}
