# Objects depend on what they were compiled with: a build folder that was filled before ISA-L was installed, or
# with another compiler, is compiled anew instead of mixed.

FLAGS_STAMP := $(BUILD)/flags
FLAGS_NOW   := $(CC) $(ALL_CFLAGS)

$(shell mkdir -p $(BUILD); echo '$(FLAGS_NOW)' | cmp -s - $(FLAGS_STAMP) || echo '$(FLAGS_NOW)' > $(FLAGS_STAMP))
$(LIB_OBJ) $(CLI_OBJ) $(UNIT_OBJ): $(FLAGS_STAMP)
